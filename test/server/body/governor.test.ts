import { describe, expect, test } from '@jest/globals';
import type { Timers } from '../../../src/base/clock.ts';
import { LIMITS } from '../../../src/base/limits.ts';
import { Credits } from '../../../src/server/body/credits.ts';
import { startGovernor, type Pressure } from '../../../src/server/body/governor.ts';

const MIB = 1024 * 1024;
const CALM: Pressure = { unabsorbedBytes: 0, writeP99Ms: 0 };

/** Seconds that pass when the test says so; other waits never end. */
class Seconds implements Timers {
  #next: (() => void) | undefined;
  after(delayMs: number, callback: () => void): () => void {
    if (delayMs !== 1_000) return () => {};
    this.#next = callback;
    return () => {
      this.#next = undefined;
    };
  }
  yield(): Promise<void> {
    return Promise.resolve();
  }
  pass(seconds = 1): void {
    for (let i = 0; i < seconds; i++) {
      const next = this.#next;
      this.#next = undefined;
      next?.();
    }
  }
}

function make() {
  const timers = new Seconds();
  const credits = new Credits({ limitBytes: 64 * MIB, waitMs: 2_000, timers });
  const limits: number[] = [];
  const now = { pressure: CALM };
  const stop = startGovernor({
    credits,
    pressure: () => now.pressure,
    timers,
    onLimit: (bytes) => limits.push(bytes / MIB),
  });
  return { timers, credits, limits, now, stop };
}

describe('the governor', () => {
  test.each([
    ['much waits to be absorbed', { unabsorbedBytes: LIMITS.unabsorbedBytesMax + 1 }],
    ['durable writes take long', { writeP99Ms: LIMITS.writeP99MsMax + 1 }],
  ])('halves the credits each second while %s, and gives them back', (_, sign) => {
    const { timers, limits, now, credits } = make();
    timers.pass();
    now.pressure = { ...CALM, ...sign };
    timers.pass(8);
    now.pressure = CALM;
    timers.pass(7);
    expect(limits).toEqual([64, 64, 32, 16, 8, 4, 2, 1, 1, 1, 2, 4, 8, 16, 32, 64, 64]);
    expect(credits.limitBytes).toBe(64 * MIB);
  });

  test('is calm at the limits themselves', () => {
    const { timers, credits, now } = make();
    now.pressure = {
      unabsorbedBytes: LIMITS.unabsorbedBytesMax,
      writeP99Ms: LIMITS.writeP99MsMax,
    };
    timers.pass(3);
    expect(credits.limitBytes).toBe(64 * MIB);
  });

  test('lets what is in flight finish, keeps the rest waiting, and lets it in afterwards', async () => {
    const { timers, credits, now } = make();
    const held = await credits.acquire(40 * MIB);
    now.pressure = { unabsorbedBytes: 0, writeP99Ms: 5_000 };
    timers.pass();
    expect(credits.heldBytes).toBe(40 * MIB);
    let entered = false;
    const next = credits.acquire(20 * MIB).then((hold) => {
      entered = true;
      return hold;
    });
    await Promise.resolve();
    expect(entered).toBe(false);
    now.pressure = CALM;
    timers.pass();
    (await next).release();
    held.release();
    expect(credits.heldBytes).toBe(0);
  });

  test('looks no more once it was ended', () => {
    const { timers, limits, stop } = make();
    stop();
    timers.pass(3);
    expect(limits).toEqual([64]);
  });
});
