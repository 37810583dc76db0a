import { afterEach, describe, expect, test } from '@jest/globals';
import { decodeBlock, decodeBlockSection } from '../../../src/storage/block/decode.ts';
import type { Exactness } from '../../../src/gen/tephra/v1/exactness_pb.ts';
import { MergeFormat, QueryService } from '../../../src/gen/tephra/v1/query_pb.ts';
import { QuerierService } from '../../../src/gen/querier/v1/querier_pb.ts';
import { LIMITS } from '../../../src/base/limits.ts';
import { CUT_LABEL } from '../../../src/profile/sample-labels.ts';
import {
  DAY,
  MINUTE,
  QueryBench,
  readTree,
  sorted,
  totalOf,
  TYPE,
  type Pushed,
  type Stacks,
} from './bench.ts';

const { method } = QueryService;
let bench: QueryBench;
afterEach(() => bench.engine.stop());

async function opened(...pushes: Pushed[]): Promise<QueryBench> {
  bench = await new QueryBench().open();
  await bench.push(...pushes);
  return bench;
}

async function merged(
  asked: { startMs?: number; endMs?: number; maxNodes?: bigint; selector?: string } = {},
): Promise<{ stacks: Stacks; exactness: Exactness }> {
  const { startMs = DAY, endMs = DAY + 3_600_000, maxNodes = 0n, selector = '{}' } = asked;
  const answer = await bench.call(method.merge, {
    selection: {
      profileType: TYPE,
      selector,
      startMs: BigInt(startMs),
      endMs: BigInt(endMs),
    },
    format: MergeFormat.TREE,
    maxNodes,
  });
  const { exactness } = answer;
  if (exactness === undefined) throw new Error('no record');
  const stacks = readTree(answer.tree);
  // The record speaks of this very tree.
  if (!exactness.saturated) expect(totalOf(stacks)).toBe(exactness.total);
  return { stacks, exactness };
}

function under(stacks: Stacks, name: string): bigint {
  let sum = 0n;
  for (const [key, value] of stacks) if ((JSON.parse(key) as string[]).includes(name)) sum += value;
  return sum;
}

const one = (startMs: number, value: bigint, stack = ['main', 'a']): Pushed => ({
  startMs,
  samples: [{ stack, value }],
});

describe('the exactness record', () => {
  test('is clean for an answer that lacks nothing', async () => {
    await opened(one(DAY, 5n), one(DAY + 90_000, 7n, ['main', 'b']));
    const { exactness } = await merged();
    expect(exactness).toMatchObject({
      exact: true,
      total: 12n,
      profiles: 2n,
      foldedValue: 0n,
      truncatedValue: 0n,
      damagedValue: 0n,
      resolutionMs: 1n,
    });
    await bench.absorb();
    const later = await merged();
    expect(later.exactness.blocksRead).toBeGreaterThan(0n);
    expect(later.exactness.bytesRead).toBeGreaterThan(0n);
  });

  test('has the value of stacks that were cut in depth', async () => {
    const deep = Array.from({ length: LIMITS.stackDepthKept + 5 }, (_, i) => `f${i % 7}`);
    await opened(one(DAY, 5n), one(DAY + 1, 11n, deep));
    const { stacks, exactness } = await merged();
    expect(exactness).toMatchObject({ total: 16n, truncatedValue: 11n, exact: true });
    expect(under(stacks, '(truncated)')).toBe(11n);
    expect(totalOf(stacks) - under(stacks, '(truncated)')).toBe(5n);
  });

  test('has the value that max_nodes folded', async () => {
    await opened({
      startMs: DAY,
      samples: [
        { stack: ['main', 'big'], value: 100n },
        { stack: ['main', 'small', 'x'], value: 3n },
        { stack: ['main', 'tiny'], value: 2n },
        // A function of that name is not what was folded.
        { stack: ['main', 'other'], value: 50n },
      ],
    });
    const { stacks, exactness } = await merged({ maxNodes: 3n });
    expect(exactness).toMatchObject({ exact: true, total: 155n, foldedValue: 5n });
    expect([...stacks.values()].reduce((sum, value) => sum + value, 0n)).toBe(155n);
  });

  test('has the value of an edge minute that counted whole, and of one that did not', async () => {
    await opened(one(DAY + 10_000, 3n), one(DAY + 40_000, 5n), one(DAY + 130_000, 7n));
    await bench.absorb();
    const cut = { startMs: DAY + 30_000 };
    expect((await merged(cut)).exactness).toMatchObject({ exact: true, total: 12n });
    await bench.dropRaw();
    const left = (await merged(cut)).exactness;
    expect(left).toMatchObject({
      exact: false,
      total: 7n,
      wholeMinutes: 1n,
      edgeDroppedValue: 5n,
      edgeAddedValue: 0n,
      resolutionMs: 60_000n,
    });
    const right = (await merged({ endMs: DAY + 30_000 })).exactness;
    expect(right).toMatchObject({ total: 8n, edgeAddedValue: 5n, edgeDroppedValue: 0n });
    // The parts add up to what lies in the range.
    expect(left.total - left.edgeAddedValue + left.edgeDroppedValue).toBe(12n);
    expect(right.total - right.edgeAddedValue + right.edgeDroppedValue).toBe(3n);
  });

  test('has the value of a damaged block: answered from the raw tier, then by its totals', async () => {
    await opened(one(DAY, 3n), one(DAY + 70_000, 5n));
    await bench.absorb();
    // The last byte of the columns: ids and ticks, which are said once.
    const damaged = await bench.damage(/\/b\//, (bytes) => {
      const at = lastTick(bytes);
      bytes[at] = (bytes[at] as number) ^ 1;
    });
    expect(damaged).toBeGreaterThan(0);
    expect((await merged()).exactness).toMatchObject({
      exact: true,
      total: 8n,
      damagedSections: 1n,
      damagedValue: 0n,
    });
    await bench.dropRaw();
    const { stacks, exactness } = await merged();
    expect(exactness).toMatchObject({ exact: false, total: 8n, damagedValue: 8n, lostMinutes: 0n });
    expect(under(stacks, '(damaged)')).toBe(8n);
    const series = await bench.call(method.series, {
      selection: selectionOf(),
      stepMs: 60_000n,
    });
    expect(series.lines[0]?.points.map(({ sum }) => sum)).toEqual([3n, 5n]);
    expect(series.exactness).toMatchObject({ damagedSections: 1n });
  });

  test('counts minutes of which nothing can be told', async () => {
    await opened(one(DAY, 3n), one(DAY + 70_000, 5n));
    await bench.absorb();
    await bench.dropRaw();
    await bench.damage(/\/b\//, (bytes) => {
      const [entry] = decodeBlock(bytes).sections;
      if (entry === undefined) throw new Error('an empty block');
      const { families } = decodeBlockSection(bytes.subarray(entry.at, entry.end), entry);
      // The flags of the first minute.
      bytes[entry.at + (families[0]?.columnAt[0] ?? 0)] = 0x7f;
    });
    expect((await merged()).exactness).toMatchObject({
      exact: false,
      total: 5n,
      damagedValue: 5n,
      lostMinutes: 1n,
    });
  });

  test('has the value of stacks whose dictionary is damaged', async () => {
    bench = await new QueryBench({ absorbFragments: 1 }).open();
    bench.nowMs = DAY + 10 * MINUTE;
    await bench.push(one(DAY, 3n));
    await bench.engine.runJobs(bench.nowMs);
    await bench.push(one(DAY + 70_000, 5n, ['main', 'new']));
    await bench.engine.runJobs(bench.nowMs);
    await bench.dropRaw();
    const keys = [...bench.state.volumes.values()].flatMap(({ blobs }) => [...blobs.keys()]);
    const last = keys.findLast((key) => key.includes('/s/')) ?? '';
    expect(await bench.damage(new RegExp(last), (bytes) => bytes.fill(0xff, 12, 24))).toBe(1);
    const { stacks, exactness } = await merged();
    expect(exactness).toMatchObject({ exact: false, total: 8n, damagedValue: 5n });
    expect(under(stacks, '(damaged)')).toBe(5n);
  });

  test('has the value of samples whose labels were cut', async () => {
    const sets = LIMITS.labelSetsPerPushMax + 10;
    await opened({
      startMs: DAY,
      samples: Array.from({ length: sets }, (_, i) => ({
        stack: ['main'],
        value: 2n,
        labels: [['request', `r${i}`]] as const,
      })),
    });
    const { exactness } = await merged();
    expect(exactness).toMatchObject({ total: BigInt(sets) * 2n, cutLabelsValue: 20n });
    const cut = await merged({ selector: `{${CUT_LABEL}!=""}` });
    expect(cut.exactness.total).toBe(20n);
  });

  test('is exact beyond 2^53, and says where values pass int64', async () => {
    const big = (1n << 53n) + 1n;
    await opened(one(DAY, big), one(DAY + 60_000, big, ['main', 'b']), one(DAY + 61_000, 1n));
    expect((await merged()).exactness).toMatchObject({ total: 2n * big + 1n, exact: true });
    await bench.absorb();
    const { stacks, exactness } = await merged();
    expect(exactness.total).toBe(2n * big + 1n);
    expect(stacks.get(JSON.stringify(['main', 'a']))).toBe(big + 1n);
    const top = await bench.call(method.topFunctions, { selection: selectionOf(), limit: 1 });
    expect(top.functions).toMatchObject([{ name: 'a', self: big + 1n, total: big + 1n }]);
    expect(top).toMatchObject({ functionCount: 3, restSelf: big });
    const line = (await bench.call(method.series, { selection: selectionOf(), stepMs: 3_600_000n }))
      .lines[0];
    expect(line?.points.map(({ sum }) => sum)).toEqual([big, big + 1n]);
    await bench.push(one(DAY + 120_000, (1n << 63n) - 1n));
    const saturated = { saturated: true, exact: false, total: (1n << 63n) - 1n };
    expect((await merged()).exactness).toMatchObject(saturated);
    const cut = await bench.call(method.series, {
      selection: selectionOf(),
      stepMs: 3_600_000n,
    });
    expect(cut.exactness).toMatchObject(saturated);
  });
});

describe('a mean over time', () => {
  const GOROUTINES = 'goroutines:goroutine:count:cpu:nanoseconds';
  const state = (startMs: number, value: bigint, pod: string): Pushed => ({
    startMs,
    name: 'goroutines',
    type: ['goroutine', 'count'],
    labels: [
      ['service_name', 'shop'],
      ['pod', pod],
    ],
    samples: [{ stack: ['main'], value }],
  });

  test('is that of the summed series, also where one came later', async () => {
    // Pod a: 10 for an hour, each minute; pod b: 4 in its second half.
    const pushes = Array.from({ length: 60 }, (_, i) => state(DAY + i * MINUTE + 500, 10n, 'a'));
    for (let i = 30; i < 60; i++) pushes.push(state(DAY + i * MINUTE + 900, 4n, 'b'));
    await opened(...pushes);
    const ask = async () =>
      bench.call(method.merge, { selection: { ...selectionOf(), profileType: GOROUTINES } });
    const before = await ask();
    expect(before.mean).toMatchObject({ instants: 60n, value: 12 });
    expect(before.exactness).toMatchObject({ total: 720n, profiles: 90n });
    await bench.absorb();
    expect((await ask()).mean).toMatchObject({ instants: 60n, value: 12 });
  });

  test('of pods that follow each other is that of one of them', async () => {
    const pushes = Array.from({ length: 60 }, (_, i) =>
      state(DAY + i * MINUTE, 10n, `p${Math.floor(i / 15)}`),
    );
    await opened(...pushes);
    const { mean } = await bench.call(method.merge, {
      selection: { ...selectionOf(), profileType: GOROUTINES },
    });
    expect(mean).toMatchObject({ value: 10, instants: 60n });
  });

  test('is not given for amounts', async () => {
    await opened(one(DAY, 1n));
    const { mean } = await bench.call(method.merge, { selection: selectionOf() });
    expect(mean).toBeUndefined();
  });
});

describe('a stream of nodes', () => {
  test('is the tree, in chunks whose nodes come after their parents', async () => {
    bench = await new QueryBench({ treeChunkBytes: 64 }).open();
    const samples = Array.from({ length: 40 }, (_, i) => ({
      stack: ['main', `f${i % 5}`, `g${i % 11}`, `h${i}`],
      value: BigInt(i + 1),
    }));
    await bench.push({ startMs: DAY, samples });
    const [first, ...chunks] = await bench.stream(method.mergeStream, { selection: selectionOf() });
    expect(chunks.length).toBeGreaterThan(5);
    const names: string[] = [];
    const paths: string[][] = [];
    const stacks: Stacks = new Map();
    for (const chunk of chunks) {
      expect(chunk.firstNode).toBe(paths.length);
      names.push(...chunk.names);
      for (const [i, parent] of chunk.parent.entries()) {
        const node = paths.length;
        expect(node === 0 || parent < node).toBe(true);
        const name = names[chunk.name[i] ?? -1];
        if (name === undefined) throw new Error('a name that never came');
        const path = node === 0 ? [] : [...(paths[parent] ?? []), name];
        paths.push(path);
        const self = chunk.self[i] ?? 0n;
        if (self > 0n) stacks.set(JSON.stringify(path), self);
      }
    }
    expect(paths.length).toBe(first?.nodeCount);
    expect(first?.exactness).toMatchObject({ exact: true, total: 820n });
    const expected = samples.map(({ stack, value }) => [JSON.stringify(stack), value] as const);
    expect(sorted(stacks)).toEqual(sorted(new Map(expected)));
  });

  test('holds no more trees than the limit, and lets go of those that nobody reads', async () => {
    bench = await new QueryBench({ openTreesMax: 2 }).open();
    await bench.push(one(DAY, 1n));
    const request = {
      tenant: 'anonymous',
      profileType: TYPE,
      selector: '{}',
      startMs: DAY,
      endMs: DAY + 1,
    };
    const first = await bench.engine.nodes(request);
    await bench.engine.nodes(request);
    await expect(bench.engine.nodes(request)).rejects.toMatchObject({
      reason: 'too_many_queries',
    });
    for await (const chunk of first.chunks) expect(chunk.byteLength).toBeGreaterThan(0);
    await bench.engine.nodes(request);
  });
});

describe('what there is', () => {
  test('is told by stats and costs, in the head and in blocks', async () => {
    bench = await new QueryBench().open();
    const { method: querier } = QuerierService;
    expect(await bench.call(querier.getProfileStats, {})).toMatchObject({ dataIngested: false });
    await bench.push(one(DAY + 5 * MINUTE, 1n), one(DAY + 7 * MINUTE + 3, 2n));
    expect(await bench.call(querier.getProfileStats, {})).toMatchObject({
      dataIngested: true,
      oldestProfileTime: BigInt(DAY + 5 * MINUTE),
      newestProfileTime: BigInt(DAY + 7 * MINUTE + 3),
    });
    const query = `${TYPE}{service_name="shop"}`;
    const range = { start: BigInt(DAY), end: BigInt(DAY + 3_600_000) };
    const fresh = await bench.call(querier.analyzeQuery, { ...range, query });
    expect(fresh.queryScopes).toMatchObject([
      { componentType: 'minutes', blockCount: 0n, profileCount: 0n },
      { componentType: 'raw', profileCount: 2n, seriesCount: 1n },
    ]);
    await bench.absorb();
    expect(await bench.call(querier.getProfileStats, {})).toMatchObject({
      oldestProfileTime: BigInt(DAY + 5 * MINUTE),
      newestProfileTime: BigInt(DAY + 7 * MINUTE),
    });
    const absorbed = await bench.call(querier.analyzeQuery, { ...range, query: '{}' });
    expect(absorbed.queryScopes).toMatchObject([
      { blockCount: 1n, profileCount: 2n, seriesCount: 1n, componentCount: 1n },
      { blockCount: 0n, profileCount: 0n },
    ]);
    expect(absorbed.queryImpact?.totalBytesInTimeRange).toBeGreaterThan(0n);
  });
});

function selectionOf() {
  return {
    profileType: TYPE,
    selector: '{}',
    startMs: BigInt(DAY),
    endMs: BigInt(DAY + 3_600_000),
  };
}

/** Offset of the last byte of the first section of a block: its last tick. */
function lastTick(bytes: Uint8Array): number {
  const { sections } = decodeBlock(bytes);
  return (sections[0]?.end ?? 0) - 1;
}
