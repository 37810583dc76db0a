import { expect, test } from '@jest/globals';
import type { Timers } from '../../src/base/clock.ts';
import { QueryGate } from '../../src/shards/query-gate.ts';

/** Timers that fire when told. */
function manualTimers(): Timers & { fire(): void; readonly set: Set<() => void> } {
  const set = new Set<() => void>();
  return {
    set,
    after(_delayMs, callback) {
      set.add(callback);
      return () => set.delete(callback);
    },
    yield: () => Promise.resolve(),
    fire() {
      const due = new Set(set);
      set.clear();
      for (const callback of due) callback();
    },
  };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A query that ends when told. */
function held(): { query: () => Promise<string>; started: () => boolean; end: () => void } {
  let resolve: ((value: string) => void) | undefined;
  return {
    query: () => new Promise((done) => (resolve = done)),
    started: () => resolve !== undefined,
    end: () => resolve?.('done'),
  };
}

test('no more than the limit run at once; the others wait their turn', async () => {
  const gate = new QueryGate({ timers: manualTimers(), atOnce: 2, waitingMax: 10, timeoutMs: 1 });
  const queries = [held(), held(), held(), held()];
  const answers = queries.map(({ query }) => gate.run(query));
  await turn();
  expect(queries.map(({ started }) => started())).toEqual([true, true, false, false]);
  queries[1]?.end();
  await turn();
  expect(queries.map(({ started }) => started())).toEqual([true, true, true, false]);
  for (const query of [0, 2]) queries[query]?.end();
  await turn();
  queries[3]?.end();
  expect(await Promise.all(answers)).toEqual(['done', 'done', 'done', 'done']);
  await gate.idle();
});

test('more waiting than the limit are refused', async () => {
  const gate = new QueryGate({ timers: manualTimers(), atOnce: 1, waitingMax: 1, timeoutMs: 1 });
  const first = held();
  const second = held();
  const answers = [gate.run(first.query), gate.run(second.query)];
  await expect(gate.run(held().query)).rejects.toMatchObject({ reason: 'too_many_queries' });
  first.end();
  await turn();
  second.end();
  await Promise.all(answers);
});

test('a query past its deadline rejects, and keeps its place until it ends', async () => {
  const timers = manualTimers();
  const gate = new QueryGate({ timers, atOnce: 1, waitingMax: 10, timeoutMs: 1 });
  const first = held();
  const answer = gate.run(first.query);
  await turn();
  timers.fire();
  await expect(answer).rejects.toMatchObject({ reason: 'deadline' });
  const second = held();
  const next = gate.run(second.query);
  await turn();
  expect(second.started()).toBe(false);
  first.end();
  await turn();
  expect(second.started()).toBe(true);
  second.end();
  await next;
  expect(gate.timedOut).toBe(1);
  expect(timers.set.size).toBe(0);
});

test('a query whose deadline passes while it waits never starts', async () => {
  const timers = manualTimers();
  const gate = new QueryGate({ timers, atOnce: 1, waitingMax: 10, timeoutMs: 1 });
  const first = held();
  const second = held();
  const running = gate.run(first.query).catch(() => 'deadline');
  const waiting = gate.run(second.query);
  timers.fire();
  await expect(waiting).rejects.toMatchObject({ reason: 'deadline' });
  first.end();
  await running;
  await gate.idle();
  expect(second.started()).toBe(false);
});

test('a query that throws at once gives its place back', async () => {
  const gate = new QueryGate({ timers: manualTimers(), atOnce: 1, waitingMax: 0, timeoutMs: 1 });
  for (let i = 0; i < 3; i++) {
    await expect(
      gate.run(() => {
        throw new TypeError('bug');
      }),
    ).rejects.toThrow('bug');
  }
});
