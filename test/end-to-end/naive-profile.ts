/**
 * What a profile says, read without any of our code: the sent one by `pprof-format`, the answer as
 * protobuf-es decoded it. Both become sums by stack, where a stack is the content of its frames.
 */
import { gunzipSync } from 'node:zlib';
import { Profile as PprofFile } from 'pprof-format';
import type { Profile } from '../../src/gen/google/v1/profile_pb.ts';

/** Value by stack; stacks that sum to zero are left out. */
export type Sums = Map<string, bigint>;

/** Samples of a file that have the same string labels. */
export interface NaiveSeries {
  readonly labels: ReadonlyMap<string, string>;
  /** By sample type. */
  readonly sums: readonly Sums[];
}

/** A file as one naive reader sees it. */
export interface NaiveProfile {
  readonly types: readonly { readonly type: string; readonly unit: string }[];
  readonly periodType: { readonly type: string; readonly unit: string };
  /** Unix ms of the time in the file; undefined where it has none. */
  readonly timeMs: number | undefined;
  readonly series: readonly NaiveSeries[];
}

/** Names of labels that are ids of spans and traces. */
const SPANS = new Set(['span_id', 'profile_id', 'trace_id']);

interface Frame {
  readonly functionName: string;
  readonly systemName: string;
  readonly file: string;
  readonly startLine: number;
  readonly line: number;
  readonly column: number;
  readonly mapping: string;
  readonly buildId: string;
  readonly inlined: boolean;
}

/** Frames by content, so that a stack is a short text of numbers. */
const frameIds = new Map<string, number>();
const frameTexts: string[] = [];
/** What a flame graph calls each frame. */
const frameNames: string[] = [];

function frameId(text: string, name: string): number {
  let id = frameIds.get(text);
  if (id === undefined) {
    id = frameTexts.push(text) - 1;
    frameNames.push(name);
    frameIds.set(text, id);
  }
  return id;
}

function symbolised(frame: Frame): number {
  const name = frame.functionName === '' ? frame.systemName : frame.functionName;
  return frameId(JSON.stringify(frame), name === '' ? '(unknown)' : name);
}

function named(functionName: string): number {
  const nothing = { systemName: '', file: '', startLine: 0, line: 0, column: 0 };
  return symbolised({ functionName, ...nothing, mapping: '', buildId: '', inlined: false });
}

/** A frame without symbols is its build id, or else its file, and the address. */
function unsymbolised(mapping: string, buildId: string, address: bigint): number {
  if (mapping === '' && buildId === '' && address === 0n) return named('(unknown)');
  const place = mapping === '' ? buildId : mapping;
  const name = `${place === '' ? '' : `${place}+`}0x${address.toString(16)}`;
  return frameId(`${buildId === '' ? mapping : `build id ${buildId}`} ${address}`, name);
}

/** Frames of a stack, root first, in words. */
export function describeStack(stack: string): string {
  const frames = stack.split(',').map((id) => frameTexts[Number(id)]);
  return frames.length > 6 ? `... ${frames.slice(-6).join(' ')}` : frames.join(' ');
}

/** Sums by function names joined with a line feed, root first: what a flame graph can tell. */
export function sumsByName(sums: Sums): Sums {
  const byName: Sums = new Map();
  for (const [stack, value] of sums) {
    const names = stack.split(',').map((id) => frameNames[Number(id)] as string);
    add(byName, names.join('\n'), value);
  }
  return byName;
}

/** Sum of all values. */
export function totalOf(sums: Sums): bigint {
  let total = 0n;
  for (const value of sums.values()) total += value;
  return total;
}

function add(sums: Sums, stack: string, value: bigint): void {
  if (value !== 0n) sums.set(stack, (sums.get(stack) ?? 0n) + value);
}

type Numeric = number | bigint;
const signed = (value: Numeric): bigint => BigInt.asIntN(64, BigInt(value));
/** Lines are stored as u32; others mean nothing. */
const line = (value: Numeric): number => {
  const number = Number(signed(value));
  return number >= 0 && number < 2 ** 32 ? number : 0;
};

/** A label set as a text, whatever the order it came in. */
export function labelsKey(labels: Iterable<readonly [string, string]>): string {
  return Array.from(labels, ([name, value]) => JSON.stringify([name, value]))
    .sort()
    .join();
}

/** Reads a file: pprof, gzip or plain. */
export function readFileNaively(bytes: Uint8Array): NaiveProfile {
  const plain = bytes[0] === 0x1f && bytes[1] === 0x8b ? gunzipSync(bytes) : bytes;
  const profile = PprofFile.decode(plain);
  const text = (index: Numeric): string => profile.stringTable.strings[Number(index)] ?? '';
  const functions = new Map(profile.function.map((row) => [Number(row.id), row]));
  const mappings = new Map(profile.mapping.map((row) => [Number(row.id), row]));
  const locations = new Map<number, number[]>();
  for (const location of profile.location) {
    const mappingRow = mappings.get(Number(location.mappingId));
    const mapping = mappingRow === undefined ? '' : text(mappingRow.filename);
    const buildId = mappingRow === undefined ? '' : text(mappingRow.buildId);
    const outermost = location.line.length - 1;
    const frames = location.line.map((row, index) => {
      const fn = functions.get(Number(row.functionId));
      if (fn === undefined) throw new Error(`no function ${row.functionId}`);
      return symbolised({
        functionName: text(fn.name),
        systemName: text(fn.systemName),
        file: text(fn.filename),
        startLine: line(fn.startLine),
        line: line(row.line),
        column: line(row.column),
        mapping,
        buildId,
        inlined: index !== outermost,
      });
    });
    const address = BigInt.asUintN(64, BigInt(location.address));
    if (frames.length === 0) frames.push(unsymbolised(mapping, buildId, address));
    locations.set(Number(location.id), frames.reverse());
  }

  const series = new Map<string, { labels: Map<string, string>; sums: Sums[] }>();
  for (const sample of profile.sample) {
    const values = sample.value.map(signed);
    if (values.every((value) => value === 0n) || values.some((value) => value < 0n)) continue;
    const labels = new Map<string, string>();
    for (const { key, str } of sample.label) {
      const value = text(str);
      if (value !== '' && !SPANS.has(text(key)) && !labels.has(text(key))) {
        labels.set(text(key), value);
      }
    }
    const key = labelsKey(labels);
    let row = series.get(key);
    if (row === undefined) {
      row = { labels, sums: profile.sampleType.map(() => new Map()) };
      series.set(key, row);
    }
    const path = sample.locationId.toReversed().flatMap((id) => locations.get(Number(id)) ?? []);
    const stack = (path.length === 0 ? [named('(no stack)')] : path).join();
    for (const [index, value] of values.entries()) add(row.sums[index] as Sums, stack, value);
  }
  return {
    types: profile.sampleType.map(({ type, unit }) => ({ type: text(type), unit: text(unit) })),
    periodType: {
      type: text(profile.periodType?.type ?? 0),
      unit: text(profile.periodType?.unit ?? 0),
    },
    timeMs:
      signed(profile.timeNanos) > 0n ? Number(signed(profile.timeNanos) / 1_000_000n) : undefined,
    series: [...series.values()],
  };
}

/** Reads an answer, which has one sample type. */
export function readAnswerNaively(profile: Profile): Sums {
  const text = (index: bigint): string => profile.stringTable[Number(index)] as string;
  const functions = new Map(profile.function.map((row) => [row.id, row]));
  const mappings = new Map(profile.mapping.map((row) => [row.id, row]));
  const locations = new Map<bigint, number[]>();
  for (const location of profile.location) {
    const mappingRow = mappings.get(location.mappingId);
    const mapping = mappingRow === undefined ? '' : text(mappingRow.filename);
    const buildId = mappingRow === undefined ? '' : text(mappingRow.buildId);
    const frames = location.line.map((row, index) => {
      const fn = functions.get(row.functionId);
      if (fn === undefined) throw new Error(`no function ${row.functionId}`);
      return symbolised({
        functionName: text(fn.name),
        systemName: text(fn.systemName),
        file: text(fn.filename),
        startLine: Number(fn.startLine),
        line: Number(row.line),
        column: Number(row.column),
        mapping,
        buildId,
        inlined: index !== location.line.length - 1,
      });
    });
    if (frames.length === 0) frames.push(unsymbolised(mapping, buildId, location.address));
    locations.set(location.id, frames.reverse());
  }
  const sums: Sums = new Map();
  for (const sample of profile.sample) {
    const path = sample.locationId.toReversed().flatMap((id) => {
      const frames = locations.get(id);
      if (frames === undefined) throw new Error(`no location ${id}`);
      return frames;
    });
    const stack = path.join();
    if (sums.has(stack)) throw new Error(`twice in one answer: ${describeStack(stack)}`);
    if (sample.value.length !== 1) throw new Error(`${sample.value.length} values`);
    add(sums, stack, sample.value[0] as bigint);
  }
  return sums;
}
