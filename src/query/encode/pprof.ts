import { type Steps, sweep } from '../../base/steps.ts';
import type { ProfileType } from '../../profile/profile-type.ts';
import { FRAME_INLINED, NO_FUNCTION, UNKNOWN_NAME } from '../../storage/dictionary/rows.ts';
import type { FrameTree } from '../tree/frame-tree.ts';
import { TWO_32 } from '../tree/lanes.ts';
import { DenseIds, type LocationPlan, planLocations } from './pprof-locations.ts';
import { type EncodedMessage, type Overflow, ProtoWriter } from './proto-writer.ts';

/** What a profile says beside its samples. */
export interface PprofHeader {
  readonly type: ProfileType;
  /** Unix nanoseconds of the start. */
  readonly timeNanos: bigint;
  readonly durationNanos: bigint;
  /** Events between samples; 0 = unknown. */
  readonly period: bigint;
  /** Fields of the messages that the profile lies in, the outermost first; none = it is bare. */
  readonly within?: readonly number[] | undefined;
}

/**
 * Writes a `google.v1.Profile` with one sample type and full frames: a sample for each node in which
 * stacks end, in tree order. Ids of mappings, locations and functions are dense from 1. A frame that
 * is inlined into the one above it shares its location. Source of the field numbers:
 * https://github.com/google/pprof/blob/b9395ee17fa0/proto/profile.proto
 */
export function* encodePprof(
  tree: FrameTree,
  header: PprofHeader,
  overflow?: Overflow,
): Steps<EncodedMessage> {
  const writer = new ProtoWriter(64 * 1024, overflow);
  const outer = (header.within ?? []).map((field) => writer.begin(field));
  const strings = new StringTable(tree.strings);
  const { type } = header;
  writeValueType(writer, 1, strings.add(type.type), strings.add(type.unit));

  const plan = yield* planLocations(tree);
  const locations = new DenseIds(plan.outer.length);
  const samples = (from: number, to: number): void =>
    writeSamples(writer, tree, plan, locations, from, to);
  yield* sweep(1, tree.parent.length, samples, SAMPLES_AT_ONCE);
  // One more than there are stands for no function.
  const functions = new DenseIds(tree.functions.name.length + 1);
  const mappings = new DenseIds(plan.mappings.length);
  const mappingFlags: MappingFlags[] = [];
  const body = { writer, tree, functions, mappings, mappingFlags, strings };
  yield* sweep(0, locations.keys.length, (from, to) => {
    for (let i = from; i < to; i++) writeLocation(body, plan, locations.keys[i] as number, i + 1);
  });
  for (const [i, key] of mappings.keys.entries()) {
    const mapping = plan.mappings[key] as readonly [number, number];
    writeMapping(writer, strings, mapping, i + 1, mappingFlags[i] as MappingFlags);
  }
  yield* sweep(0, functions.keys.length, (from, to) => {
    for (let i = from; i < to; i++) writeFunction(body, functions.keys[i] as number, i + 1);
  });

  writeBig(writer, 9, header.timeNanos);
  writeBig(writer, 10, header.durationNanos);
  if (type.periodType !== '' || type.periodUnit !== '') {
    writeValueType(writer, 11, strings.add(type.periodType), strings.add(type.periodUnit));
  }
  writeBig(writer, 12, header.period);
  // Last, because strings are numbered as they are met; protobuf leaves the order open.
  const { texts } = strings;
  yield* sweep(0, texts.length, (from, to) => {
    for (let i = from; i < to; i++) writer.text(6, texts[i] as string);
  });
  for (const start of outer.toReversed()) writer.end(start);
  return writer.finish();
}

interface MappingFlags {
  functions: boolean;
  filenames: boolean;
  lines: boolean;
  inlined: boolean;
}

interface Body {
  readonly writer: ProtoWriter;
  readonly tree: FrameTree;
  readonly strings: StringTable;
  readonly functions: DenseIds;
  readonly mappings: DenseIds;
  readonly mappingFlags: MappingFlags[];
}

/** Samples that are written without a break: each follows its stack. */
const SAMPLES_AT_ONCE = 1_024;

function writeSamples(
  writer: ProtoWriter,
  tree: FrameTree,
  plan: LocationPlan,
  ids: DenseIds,
  from: number,
  to: number,
): void {
  const { lo, hi } = tree.self;
  const { parent } = tree;
  const { location, outer } = plan;
  for (let node = from; node < to; node++) {
    const low = lo[node] as number;
    const high = hi?.[node] ?? 0;
    if (low === 0 && high === 0) continue;
    const sample = writer.begin(2);
    const path = writer.begin(1);
    // Leaf first, one step a location.
    for (let at = node; at > 0; at = parent[at] as number) {
      let chain = location[at] as number;
      writer.uint(ids.idOf(chain));
      while ((chain = outer[chain] as number) >= 0) at = parent[at] as number;
    }
    writer.end(path);
    const value = writer.begin(2);
    if (hi === undefined) writer.value(low);
    else writer.wide(high, low);
    writer.end(value);
    writer.end(sample);
  }
}

function writeLocation(body: Body, plan: LocationPlan, location: number, id: number): void {
  const { writer, tree } = body;
  const { frames } = tree;
  const message = writer.begin(4);
  writer.field(1, id);
  const innermost = plan.frameOf[location] as number;
  const mappingKey = plan.mappingOf[innermost] as number;
  const flags = mappingKey < 0 ? undefined : useMapping(body, mappingKey);
  if (flags !== undefined) writer.field(2, body.mappings.idOf(mappingKey));
  const low = frames.addressLow[innermost] as number;
  const high = frames.addressHigh[innermost] as number;
  // An address, not a value: those of the kernel lie beyond int64.
  writer.uint64Field(3, high, low);
  // From the innermost line to the outermost caller.
  for (let at = location; at >= 0; at = plan.outer[at] as number) {
    const frame = plan.frameOf[at] as number;
    const fn = frames.fn[frame] as number;
    const nothingKnown = fn === NO_FUNCTION && low === 0 && high === 0 && mappingKey < 0;
    if (fn === NO_FUNCTION && !nothingKnown) continue;
    const line = frames.line[frame] as number;
    if (flags !== undefined) {
      flags.functions = true;
      flags.filenames ||= tree.functions.file[fn] !== 0;
      flags.lines ||= line !== 0;
      flags.inlined ||= ((frames.flags[frame] as number) & FRAME_INLINED) !== 0;
    }
    const entry = writer.begin(4);
    writer.field(1, body.functions.idOf(Math.min(fn, tree.functions.name.length)));
    writer.field(2, line);
    writer.field(3, frames.column[frame] as number);
    writer.end(entry);
  }
  writer.end(message);
}

function useMapping(body: Body, key: number): MappingFlags {
  const id = body.mappings.idOf(key);
  let flags = body.mappingFlags[id - 1];
  if (flags === undefined) {
    flags = { functions: false, filenames: false, lines: false, inlined: false };
    body.mappingFlags.push(flags);
  }
  return flags;
}

function writeMapping(
  writer: ProtoWriter,
  strings: StringTable,
  [file, buildId]: readonly [number, number],
  id: number,
  flags: MappingFlags,
): void {
  const message = writer.begin(3);
  writer.field(1, id);
  writer.field(5, strings.of(file));
  writer.field(6, strings.of(buildId));
  writer.field(7, Number(flags.functions));
  writer.field(8, Number(flags.filenames));
  writer.field(9, Number(flags.lines));
  writer.field(10, Number(flags.inlined));
  writer.end(message);
}

function writeFunction({ writer, tree, strings }: Body, fn: number, id: number): void {
  const { functions } = tree;
  const message = writer.begin(5);
  writer.field(1, id);
  if (fn === functions.name.length) writer.field(2, strings.add(UNKNOWN_NAME));
  else {
    writer.field(2, strings.of(functions.name[fn] as number));
    writer.field(3, strings.of(functions.systemName[fn] as number));
    writer.field(4, strings.of(functions.file[fn] as number));
    writer.field(5, functions.startLine[fn] as number);
  }
  writer.end(message);
}

function writeValueType(writer: ProtoWriter, field: number, type: number, unit: number): void {
  const message = writer.begin(field);
  writer.field(1, type);
  writer.field(2, unit);
  writer.end(message);
}

function writeBig(writer: ProtoWriter, field: number, value: bigint): void {
  const positive = value < 0n ? 0n : value;
  writer.wideField(field, Number(positive >> 32n), Number(positive % BigInt(TWO_32)));
}

/** The string table of the profile: only what it uses, '' first. */
class StringTable {
  readonly texts: string[] = [''];
  readonly #index = new Map<string, number>([['', 0]]);
  readonly #strings: readonly string[];

  constructor(strings: readonly string[]) {
    this.#strings = strings;
  }

  /** Index of string `id` of the tree. */
  of(id: number): number {
    return this.add(this.#strings[id] as string);
  }

  /** Index of a text. */
  add(text: string): number {
    let index = this.#index.get(text);
    if (index === undefined) {
      index = this.texts.push(text) - 1;
      this.#index.set(text, index);
    }
    return index;
  }
}
