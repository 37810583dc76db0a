import { MessageChannel } from 'node:worker_threads';
import { describe, expect, test } from '@jest/globals';
import { systemClock, systemTimers } from '../../src/base/clock.ts';
import { TephraError } from '../../src/base/errors.ts';
import { LIMITS } from '../../src/base/limits.ts';
import { seededRandom } from '../../src/base/random.ts';
import { createPause } from '../../src/base/slice.ts';
import { createEngine } from '../../src/shards/create-engine.ts';
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

test('a merge that nobody waits for stops, and its host is idle soon after', async () => {
  const engine = await createEngine({
    store: new MemoryBlobStore(),
    workers: 0,
    incarnation: 1,
    clock: systemClock,
    timers: systemTimers,
    random: seededRandom(1),
  });
  const nowMs = Date.now();
  const text = Array.from({ length: 200 }, (_, i) => `main;f${i};g${i} ${i + 1}\n`).join('');
  const payload = Buffer.from(text);
  for (let batch = 0; batch < 10; batch++) {
    await engine.push(
      Array.from({ length: 100 }, (_, i) => ({
        tenant: 'anonymous',
        labels: [
          ['service_name', 'shop'],
          ['__name__', 'process_cpu'],
        ] as const,
        profileId: '',
        fromMs: nowMs - (batch * 100 + i) * 60_000,
        untilMs: nowMs - (batch * 100 + i) * 60_000 + 10_000,
        format: 'folded' as const,
        surface: 'ingest' as const,
        sampleRateHz: 100,
        payload,
        arrivalMs: nowMs,
      })),
    );
  }
  const controller = new AbortController();
  const request = {
    tenant: 'anonymous',
    selector: '{}',
    startMs: nowMs - 30 * 86_400_000,
    endMs: nowMs + 60_000,
    profileType: CPU,
    signal: controller.signal,
  };
  expect((await engine.flameGraph(request)).bytes.length).toBeGreaterThan(1_000);
  const merges = Array.from({ length: LIMITS.queriesAtOnce + 2 }, () => engine.flameGraph(request));
  controller.abort(gone);
  const outcomes = await Promise.allSettled(merges);
  expect(
    outcomes.map((o) => (o.status === 'rejected' ? TephraError.from(o.reason).reason : '')),
  ).toEqual(merges.map(() => 'canceled'));
  await sleep(100);
  const before = process.cpuUsage();
  await sleep(100);
  const { user, system } = process.cpuUsage(before);
  expect((user + system) / 1_000).toBeLessThan(50);
  await engine.stop();
});
