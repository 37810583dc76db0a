/** What arrives around a change of the raw volume: what is before it and what is behind it need other scopes. */
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { LIMITS } from '../../src/base/limits.ts';
import { RAW_VOLUME_MS } from '../../src/base/time.ts';
import { liveScope, openScope } from '../../src/ingest/scopes.ts';
import type { StreamReport } from '../../src/ingest/stream/messages.ts';
import { MemoryBlobStore } from '../../src/storage/blob-store/memory.ts';
import { rawVolume } from '../../src/storage/keys.ts';
import { Dictionary } from '../../src/storage/dictionary/dictionary.ts';
import { ShardState } from '../../src/storage/shard/shard-state.ts';
import { systemRandom } from '../../src/base/random.ts';
import { Bench, DAY, TYPE } from '../jobs/fixture.ts';
import { TestEncoder } from '../support/stream-agent.ts';

const CHANGE = DAY + RAW_VOLUME_MS;
const PERIOD = 10_000_000n;
const EPOCHS_MAX = 100;

const next = ShardState.prototype.nextEpoch;

beforeEach(() => {
  let epochs = 0;
  // Else a test that fails would never end: nothing else gets a turn.
  jest.spyOn(ShardState.prototype, 'nextEpoch').mockImplementation(function count(
    this: ShardState,
  ) {
    if (++epochs > EPOCHS_MAX) throw new RangeError('epochs without end');
    return next.call(this);
  });
});

afterEach(() => {
  jest.restoreAllMocks();
});

/** A stream that was opened, and how it sends one batch with one part. */
async function streamOf(bench: Bench, instance: number) {
  const labels = [['service_name', 'shop']] as const;
  const shard = bench.engine.streamShard('anonymous', labels);
  const call = 100 + instance;
  await bench.engine.openStream(shard, {
    call,
    tenant: 'anonymous',
    labels,
    instance: new Uint8Array(16).fill(instance),
    firstSequence: 1,
    lastSequence: 0,
    epoch: 0,
  });
  const encoder = new TestEncoder(1);
  return async (startMs: readonly number[], arrivalMs: number): Promise<StreamReport> => {
    const parts = startMs.map((ms) => ({
      types: [TYPE],
      periods: [PERIOD],
      startMs: ms,
      samples: [{ stack: `main;s${instance}`, values: [Number(PERIOD)] }],
    }));
    const bytes = new Uint8Array(encoder.batch(1, parts));
    const ends = Uint32Array.of(bytes.byteLength);
    const { reports } = await bench.engine.takeStream(shard, {
      calls: [call],
      ends,
      bytes,
      arrivalMs,
    });
    return reports[0] as StreamReport;
  };
}

describe('pushes that arrive before and after a change of the raw volume, at once', () => {
  test('are stored, and their service goes on', async () => {
    const bench = await new Bench().open();
    const pushed: Promise<string>[] = [];
    for (let i = 0; i < 6; i++) {
      bench.nowMs = i % 2 === 0 ? CHANGE - 1 : CHANGE + 1;
      pushed.push(bench.push(`f${i}`, CHANGE - 1_000 + i));
    }
    expect(await Promise.all(pushed)).toEqual(pushed.map(() => 'stored'));
    expect(await bench.push('after', CHANGE)).toBe('stored');
    expect((await bench.merge()).ticks).toBe(7n);
    await bench.open();
    const { ticks, names } = await bench.merge();
    expect(ticks).toBe(7n);
    expect([...names].toSorted()).toEqual(
      ['after', 'f0', 'f1', 'f2', 'f3', 'f4', 'f5', 'main', 'total'].toSorted(),
    );
  });

  test('are stored where streams and pushes meet, in two days each', async () => {
    const bench = await new Bench().open();
    bench.nowMs = CHANGE;
    const first = await streamOf(bench, 1);
    const second = await streamOf(bench, 2);
    const starts = [DAY - 1_000, CHANGE - 1_000];
    const sent = [first(starts, CHANGE - 1), second(starts, CHANGE + 1)];
    bench.nowMs = CHANGE - 1;
    const pushed = [bench.push('before', CHANGE - 2_000), bench.push('late', DAY - 2_000)];
    bench.nowMs = CHANGE + 1;
    pushed.push(bench.push('after', CHANGE - 2_000));
    expect(await Promise.all(pushed)).toEqual(['stored', 'stored', 'stored']);
    for (const report of await Promise.all(sent)) {
      expect(report).toMatchObject({ settled: 1, refused: [], failed: undefined });
    }
    expect((await bench.merge()).ticks).toBe(7n);
    await bench.at(CHANGE + RAW_VOLUME_MS);
    await bench.open();
    expect((await bench.merge()).ticks).toBe(7n);
  });
});

test('a day with more stacks than an epoch may add still takes pushes', () => {
  const state = new ShardState({
    shard: 0,
    shardCount: 1,
    incarnation: 1,
    store: new MemoryBlobStore(),
    random: systemRandom,
  });
  const name = { tenant: 'a', service: 's', dayMs: DAY, rawVolume: rawVolume(DAY) };
  const dictionary = new Dictionary(systemRandom);
  let stacks = LIMITS.stacksPerEpochMax;
  const lengths = dictionary.lengths;
  jest.spyOn(dictionary, 'lengths', 'get').mockImplementation(() => ({ ...lengths, stacks }));
  state.canonical.set(DAY, 'a', 's', dictionary, dictionary.lengths);
  const canonical = state.canonical.peek(DAY, 'a', 's');
  if (canonical === undefined) throw new RangeError();
  const scope = openScope(state, name, canonical);
  expect(scope?.seed.stacks).toBe(LIMITS.stacksPerEpochMax);
  expect(liveScope(state, name)).toBe(scope);
  stacks = 2 * LIMITS.stacksPerEpochMax;
  expect(liveScope(state, name)).toBeUndefined();
});
