import { MessageChannel } from 'node:worker_threads';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { assert } from '../../src/base/assert.ts';
import { systemClock, systemTimers } from '../../src/base/clock.ts';
import { TephraError } from '../../src/base/errors.ts';
import { LIMITS } from '../../src/base/limits.ts';
import { seededRandom } from '../../src/base/random.ts';
import { createPause } from '../../src/base/slice.ts';
import { createEngine } from '../../src/shards/create-engine.ts';
import type { Engine } from '../../src/shards/engine.ts';
import { QueryGate } from '../../src/shards/query-gate.ts';
import { connect, serve } from '../../src/shards/rpc.ts';
import { MemoryBlobStore } from '../../src/storage/blob-store/memory.ts';

const CPU = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds';
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const gone = new TephraError('canceled', 'the client left');

interface Api {
  work(request: { readonly signal?: AbortSignal | undefined }): Promise<number>;
}

describe('a signal among the arguments of a call', () => {
  test('crosses the port and ends the work at its next yield', async () => {
    const { port1, port2 } = new MessageChannel();
    let slices = 0;
    const served = serve<Api>(port2, {
      async work({ signal }) {
        const pause = createPause(systemClock, systemTimers, () => {
          if (signal?.aborted === true) throw TephraError.from(signal.reason);
        });
        for (let round = 0; round < 5_000_000; round++) {
          slices++;
          for (let spin = 0; spin < 1_000; spin++) Math.sqrt(spin);
          await pause.here();
        }
        return slices;
      },
    });
    const connection = connect<Api>(port1);
    const controller = new AbortController();
    const answer = connection.api.work({ signal: controller.signal });
    await sleep(30);
    controller.abort(gone);
    await expect(answer).rejects.toMatchObject({ reason: 'canceled', detail: 'the client left' });
    const after = slices;
    await sleep(30);
    expect(slices).toBe(after);
    connection.close();
    await served.ended;
  });

  test('that has fired already ends it too, and one that never fires leaves nothing behind', async () => {
    const { port1, port2 } = new MessageChannel();
    serve<Api>(port2, {
      async work({ signal }) {
        await sleep(5);
        if (signal?.aborted === true) throw TephraError.from(signal.reason);
        return 7;
      },
    });
    const connection = connect<Api>(port1);
    await expect(connection.api.work({ signal: AbortSignal.abort(gone) })).rejects.toMatchObject({
      reason: 'canceled',
    });
    const controller = new AbortController();
    expect(await connection.api.work({ signal: controller.signal })).toBe(7);
    expect(await connection.api.work({})).toBe(7);
    controller.abort(gone);
    connection.close();
  });
});

describe('the gate', () => {
  const gate = (timeoutMs = 10_000): QueryGate =>
    new QueryGate({ timers: systemTimers, atOnce: 1, waitingMax: 5, timeoutMs });

  test('tells a running query that its asker left or its time is up', async () => {
    const reasons: unknown[] = [];
    const query = (signal: AbortSignal): Promise<void> =>
      new Promise((resolve) => {
        signal.addEventListener('abort', () => {
          reasons.push(TephraError.from(signal.reason).reason);
          resolve();
        });
      });
    const controller = new AbortController();
    const left = gate().run(query, controller.signal);
    controller.abort(gone);
    await expect(left).rejects.toMatchObject({ reason: 'canceled' });
    await expect(gate(10).run(query)).rejects.toMatchObject({ reason: 'deadline' });
    expect(reasons).toEqual(['canceled', 'deadline']);
  });

  test('forgets a query whose asker leaves while it waits', async () => {
    const one = gate();
    let open = (): void => {};
    const first = one.run(() => new Promise<void>((resolve) => (open = resolve)));
    const controller = new AbortController();
    let ran = false;
    const second = one.run(async () => (ran = true), controller.signal);
    controller.abort(gone);
    await expect(second).rejects.toMatchObject({ reason: 'canceled' });
    open();
    await first;
    await one.idle();
    expect(ran).toBe(false);
  });
});

/** A clock by which every slice is used up at once: each place where work can breathe is a yield. */
function countedTime() {
  let nowMs = 0;
  const time = {
    yields: 0,
    onYield: (): void => {},
    clock: { nowMs: systemClock.nowMs, monotonicMs: () => (nowMs += LIMITS.sliceMs) },
    timers: {
      after: systemTimers.after,
      yield: async () => {
        time.yields++;
        time.onYield();
        await systemTimers.yield();
      },
    },
  };
  return time;
}

describe('a merge that nobody waits for', () => {
  const time = countedTime();
  const days = 2;
  const nowMs = Date.now();
  const range = { startMs: nowMs - 30 * 86_400_000, endMs: nowMs + 60_000 };
  const asked = { tenant: 'anonymous', selector: '{}', profileType: CPU, ...range };
  let engine: Engine;

  beforeAll(async () => {
    engine = await createEngine({
      store: new MemoryBlobStore(),
      workers: 0,
      incarnation: 1,
      clock: time.clock,
      timers: time.timers,
      random: seededRandom(1),
    });
    const stacks = Array.from({ length: 10_000 }, (_, i) => `main;f${i % 97};g${i} ${i + 1}\n`);
    const payload = Buffer.from(stacks.join(''));
    const items = Array.from({ length: days }, (_, day) => ({
      tenant: 'anonymous',
      labels: [
        ['service_name', 'shop'],
        ['__name__', 'process_cpu'],
      ] as const,
      profileId: '',
      fromMs: nowMs - day * 86_400_000,
      untilMs: nowMs - day * 86_400_000 + 10_000,
      format: 'folded' as const,
      surface: 'ingest' as const,
      sampleRateHz: 100,
      payload,
      arrivalMs: nowMs,
    }));
    const outcomes = await engine.push(items);
    assert(
      outcomes.every(({ outcome }) => outcome === 'stored'),
      'every push is stored',
    );
  });

  afterAll(() => engine.stop());

  const merges: readonly (readonly [string, (signal?: AbortSignal) => Promise<unknown>])[] = [
    ['flame graph', (signal) => engine.flameGraph({ ...asked, signal })],
    ['pprof', (signal) => engine.pprof({ ...asked, signal })],
    ['tree', (signal) => engine.tree({ ...asked, signal }, { kind: 'tree', maxNodes: 100_000 })],
    ['top', (signal) => engine.tree({ ...asked, signal }, { kind: 'top', limit: 10 })],
    ['nodes', (signal) => engine.nodes({ ...asked, signal })],
    [
      'diff',
      (signal) => {
        const side = { ...asked, signal };
        return engine.diff({ left: side, right: side });
      },
    ],
  ];

  test.each(merges)('stops at its next break, wherever it is: %s', async (_name, merge) => {
    time.yields = 0;
    await merge();
    const whole = time.yields;
    // Each dictionary and each part of a sweep over its 10,000 stacks.
    expect(whole).toBeGreaterThan(days * 20);
    for (let fifth = 0; fifth < 5; fifth++) {
      const at = Math.max(1, Math.floor((whole * fifth) / 5));
      const controller = new AbortController();
      time.yields = 0;
      time.onYield = () => {
        if (time.yields === at) controller.abort(gone);
      };
      await expect(merge(controller.signal)).rejects.toMatchObject({ reason: 'canceled' });
      for (let round = 0; round < 20; round++) await systemTimers.yield();
      time.onYield = () => {};
      expect({ at, yields: time.yields }).toEqual({ at, yields: at });
    }
  });

  test('leaves none of those behind that wait or run beside it', async () => {
    const controller = new AbortController();
    const all = Array.from({ length: LIMITS.queriesAtOnce + 2 }, () =>
      engine.flameGraph({ ...asked, signal: controller.signal }),
    );
    controller.abort(gone);
    const outcomes = await Promise.allSettled(all);
    expect(
      outcomes.map((o) => (o.status === 'rejected' ? TephraError.from(o.reason).reason : '')),
    ).toEqual(all.map(() => 'canceled'));
    for (let round = 0; round < 20; round++) await systemTimers.yield();
    const before = time.yields;
    for (let round = 0; round < 20; round++) await systemTimers.yield();
    expect(time.yields).toBe(before);
  });
});
