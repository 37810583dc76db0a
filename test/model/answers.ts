/** Answers of the engine as plain maps, to be compared with the reference. */
import { fromBinary } from '@bufbuild/protobuf';
import { ProfileSchema } from '../../src/gen/google/v1/profile_pb.ts';
import {
  DiffResponseSchema,
  SelectMergeStacktracesResponseSchema,
} from '../../src/gen/querier/v1/querier_pb.ts';
import { frameKey } from './reference.ts';

/** Self values by stack: names root first, as JSON. Checks that each parent is self plus children. */
export function readFlameGraph(bytes: Uint8Array): Map<string, bigint> {
  const graph = fromBinary(SelectMergeStacktracesResponseSchema, bytes).flamegraph;
  if (graph === undefined) throw new Error('no flame graph');
  const bars = graph.levels.map(({ values }) => barsOf(values, 1));
  const stacks = selfByStack(bars, graph.names, 0);
  check(graph.names[0] === 'total', 'names[0] is total');
  check(total(stacks) === graph.total, `total ${graph.total} is the sum ${total(stacks)}`);
  return stacks;
}

/** The same for both sides of a diff. */
export function readDiff(bytes: Uint8Array): {
  left: Map<string, bigint>;
  right: Map<string, bigint>;
} {
  const graph = fromBinary(DiffResponseSchema, bytes).flamegraph;
  if (graph === undefined) throw new Error('no flame graph');
  const bars = graph.levels.map(({ values }) => barsOf(values, 2));
  const left = selfByStack(bars, graph.names, 0);
  const right = selfByStack(bars, graph.names, 1);
  check(total(left) === graph.leftTicks, 'left total');
  check(total(right) === graph.rightTicks, 'right total');
  check(graph.total === graph.leftTicks + graph.rightTicks, 'total of both');
  return { left, right };
}

/** Values by stack: whole frames root first, as JSON. */
export function readPprof(bytes: Uint8Array): Map<string, bigint> {
  const profile = fromBinary(ProfileSchema, bytes);
  const text = (index: bigint): string => profile.stringTable[Number(index)] ?? '';
  const functions = new Map(profile.function.map((row) => [row.id, row]));
  const mappings = new Map(profile.mapping.map((row) => [row.id, row]));
  const frames = new Map<bigint, string[]>();
  for (const location of profile.location) {
    const mapping = mappings.get(location.mappingId);
    const mappingFile = text(mapping?.filename ?? 0n);
    const buildId = text(mapping?.buildId ?? 0n);
    const keys = location.line.toReversed().map((line, at) => {
      const fn = functions.get(line.functionId);
      return frameKey({
        name: text(fn?.name ?? 0n),
        systemName: text(fn?.systemName ?? 0n),
        file: text(fn?.filename ?? 0n),
        startLine: Number(fn?.startLine ?? 0n),
        line: Number(line.line),
        mappingFile,
        buildId,
        address: 0,
        inlined: at > 0,
      });
    });
    const unsymbolized = [mappingFile, buildId, location.address.toString(16)].join('|');
    frames.set(location.id, keys.length === 0 ? [unsymbolized] : keys);
  }
  const stacks = new Map<string, bigint>();
  for (const sample of profile.sample) {
    const keys = sample.locationId.toReversed().flatMap((id) => frames.get(id) ?? ['?']);
    const key = JSON.stringify(keys);
    check(!stacks.has(key), `stack twice: ${key}`);
    stacks.set(key, sample.value[0] ?? 0n);
  }
  return withoutZeros(stacks);
}

interface Bar {
  readonly start: bigint;
  readonly end: bigint;
  readonly totals: readonly bigint[];
  readonly selfs: readonly bigint[];
  readonly name: number;
  path: readonly string[];
}

/** The bars of a level. With two sides the places are added up: both sides have the same order. */
function barsOf(values: readonly bigint[], sides: number): Bar[] {
  const bars: Bar[] = [];
  const at = new Array<bigint>(sides).fill(0n);
  const width = sides * 3 + 1;
  check(values.length % width === 0, 'whole groups');
  for (let i = 0; i < values.length; i += width) {
    const totals: bigint[] = [];
    const selfs: bigint[] = [];
    let start = 0n;
    for (let side = 0; side < sides; side++) {
      const sideStart = (at[side] ?? 0n) + (values[i + side * 3] ?? 0n);
      const sideTotal = values[i + side * 3 + 1] ?? 0n;
      start += sideStart;
      totals.push(sideTotal);
      selfs.push(values[i + side * 3 + 2] ?? 0n);
      at[side] = sideStart + sideTotal;
    }
    const end = start + totals.reduce((sum, value) => sum + value, 0n);
    bars.push({ start, end, totals, selfs, name: Number(values[i + width - 1]), path: [] });
  }
  return bars;
}

function selfByStack(levels: readonly Bar[][], names: readonly string[], side: number) {
  const stacks = new Map<string, bigint>();
  for (const [depth, bars] of levels.entries()) {
    const parents = levels[depth - 1] ?? [];
    const left = parents.map(({ totals, selfs }) => (totals[side] ?? 0n) - (selfs[side] ?? 0n));
    let parent = 0;
    for (const bar of bars) {
      if (depth > 0) {
        while ((parents[parent]?.end ?? bar.end) < bar.end) parent++;
        const above = parents[parent];
        check(above !== undefined && above.start <= bar.start, 'a bar lies within its parent');
        bar.path = [...above.path, names[bar.name] ?? '?'];
        left[parent] = (left[parent] ?? 0n) - (bar.totals[side] ?? 0n);
      }
      const key = JSON.stringify(bar.path);
      check(!stacks.has(key), `path twice: ${key}`);
      stacks.set(key, bar.selfs[side] ?? 0n);
    }
    check(
      left.every((rest) => rest === 0n),
      `parents at depth ${depth - 1} are self plus children`,
    );
  }
  for (const bar of levels.at(-1) ?? []) {
    check(bar.totals[side] === bar.selfs[side], 'the last level has no children');
  }
  return withoutZeros(stacks);
}

function withoutZeros(stacks: Map<string, bigint>): Map<string, bigint> {
  for (const [key, value] of stacks) if (value === 0n) stacks.delete(key);
  return stacks;
}

function total(stacks: ReadonlyMap<string, bigint>): bigint {
  let sum = 0n;
  for (const value of stacks.values()) sum += value;
  return sum;
}

function check(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(`the answer contradicts itself: ${what}`);
}
