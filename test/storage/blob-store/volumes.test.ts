import { describe, expect, it } from '@jest/globals';
import type { Clock, Timers } from '../../../src/base/clock.ts';
import { LIMITS } from '../../../src/base/limits.ts';
import { isHot } from '../../../src/storage/blob-store/level/volume-options.ts';
import { openLevel } from '../../../src/storage/blob-store/level/handle.ts';
import { pattern, same } from '../../contract/blob-store.ts';
import { openStore, temporaryDirectory } from './open-level.ts';

const NOON = Date.UTC(2026, 2, 14, 12, 30);

/** A clock that only moves by `advance`, with its timers. */
class HandClock implements Clock, Timers {
  #now = NOON;
  #timers: { at: number; callback: () => void }[] = [];

  nowMs(): number {
    return this.#now;
  }

  monotonicMs(): number {
    return this.#now;
  }

  yield(): Promise<void> {
    return new Promise((resolve) => {
      setImmediate(resolve);
    });
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = { at: this.#now + delayMs, callback };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      this.#timers.sort((a, b) => a.at - b.at);
      const next = this.#timers[0];
      if (next === undefined || next.at > end) break;
      this.#timers.shift();
      this.#now = next.at;
      next.callback();
    }
    this.#now = end;
  }
}

describe('the volumes of a LevelDB store', () => {
  it('stay open up to the limit, the least recently used close, all go on serving', async () => {
    const clock = new HandClock();
    const store = await openStore(await temporaryDirectory(), { clock, timers: clock });
    const names = Array.from({ length: LIMITS.volumesOpenMax + 4 }, (_, i) => `raw/v${10 + i}`);
    const hot = 'raw/20260314-12';
    await store.put(`${hot}/x`, pattern(3));
    for (const [i, name] of names.entries()) {
      clock.advance(1);
      await store.put(`${name}/x`, pattern(100, i + 1));
      expect(store.stats().openVolumes).toBeLessThanOrEqual(LIMITS.volumesOpenMax);
    }
    for (const [i, name] of names.entries()) {
      expect(same(await store.get(`${name}/x`), pattern(100, i + 1))).toBe(true);
      await store.put(`${name}/y`, pattern(5));
    }
    expect((await store.list('raw/v')).length).toBe(2 * names.length);
    expect(store.stats().openVolumes).toBe(LIMITS.volumesOpenMax);
  });

  it('close when they were not used for a while, except the hot ones', async () => {
    const clock = new HandClock();
    let opens = 0;
    const store = await openStore(await temporaryDirectory(), {
      clock,
      timers: clock,
      openHandle: (path, options) => {
        opens++;
        return openLevel(path, options);
      },
    });
    const hot = ['raw/20260314-12', 'minutes/20260314', 'minutes/20260313', 'hours/202603'];
    for (const name of [...hot, 'raw/20260314-06', 'minutes/20260312']) {
      await store.put(`${name}/x`, pattern(9));
    }
    expect(store.stats().openVolumes).toBe(6);
    clock.advance(LIMITS.volumeIdleMs - 120_000);
    await store.get('minutes/20260312/x');
    clock.advance(180_000);
    expect(store.stats().openVolumes).toBe(5);
    clock.advance(LIMITS.volumeIdleMs + 60_000);
    await store.tidy();
    expect(store.stats().openVolumes).toBe(4);
    expect(opens).toBe(6);
    for (const { key } of await store.list('')) {
      expect(same(await store.get(key), pattern(9))).toBe(true);
    }
    expect(opens).toBe(8);
    clock.advance(2 * 86_400_000);
    expect(store.stats().openVolumes).toBe(1);
  });

  it.each([
    ['raw', '20260314-12', true],
    ['raw', '20260314-06', false],
    ['raw', '20260314-18', false],
    ['minutes', '20260314', true],
    ['minutes', '20260313', true],
    ['minutes', '20260312', false],
    ['hours', '202603', true],
    ['days', '202602', false],
  ])('%s/%s is hot at noon of 14 March 2026: %s', (kind, period, hot) => {
    expect(isHot(kind, period, NOON)).toBe(hot);
  });

  it('are not dropped under an operation that lasts too long, and go on then', async () => {
    const clock = new HandClock();
    const gate: (() => void)[] = [];
    const store = await openStore(await temporaryDirectory(), {
      clock,
      timers: clock,
      openHandle: async (path, options) => {
        const level = await openLevel(path, options);
        const getMany = level.getMany.bind(level);
        level.getMany = async (...args: [string[]]) => {
          await new Promise<void>((resolve) => {
            gate.push(resolve);
          });
          return getMany(...args);
        };
        return level;
      },
    });
    await store.put('raw/a/x', pattern(9));
    const read = store.get('raw/a/x');
    while (gate.length === 0) await clock.yield();
    const drop = store.dropVolume('raw/a').catch(String);
    const put = store.put('raw/a/y', pattern(9));
    await clock.yield();
    clock.advance(LIMITS.volumeDropWaitMs);
    expect(await drop).toMatch(/write_unknown: raw\/a is not dropped/);
    const open = setInterval(() => gate.shift()?.(), 1);
    expect(same(await read, pattern(9))).toBe(true);
    await put;
    expect((await store.list('raw/a/')).length).toBe(2);
    await store.dropVolume('raw/a');
    expect(await store.listVolumes('raw')).toEqual([]);
    clearInterval(open);
  });

  it('are closed with the store, after what is under way', async () => {
    const store = await openStore(await temporaryDirectory());
    const put = store.put('raw/a/x', pattern(3_000_000));
    while (store.stats().pendingPuts === 0) await new Promise(setImmediate);
    const closed = Promise.all([store.close(), store.close()]);
    await put;
    await closed;
    await expect(store.get('raw/a/x')).rejects.toThrow(/draining/);
    await expect(store.dropVolume('raw/a')).rejects.toThrow(/draining/);
    expect(store.stats().openVolumes).toBe(0);
  });
});
