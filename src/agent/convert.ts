import type { SamplePart, SpanRun } from '../client/stream/part.ts';
import type { FamilyType, SampleTables } from '../client/stream/tables.ts';
import { SPAN_KEY, TRACE_KEY } from './context.ts';
import type { PprofObject, PprofSample } from './profiler.ts';

/** When samples were taken. */
export interface Taken {
  readonly startMs: number;
  readonly durationMs: number;
}

const WALL = { type: 'wall', unit: 'nanoseconds' };
const CPU = { type: 'cpu', unit: 'nanoseconds' };
const SPACE = { type: 'space', unit: 'bytes' };

/** Types of a wall profile: how often, and for how long, a stack was seen; and its CPU time. */
const TIME_TYPES: readonly FamilyType[] = [
  { name: 'wall', type: 'samples', unit: 'count', periodType: WALL },
  { name: 'wall', ...WALL, periodType: WALL },
  { name: 'process_cpu', ...CPU, periodType: CPU },
];

/** Types of a heap profile, by the ids that Grafana knows. */
const HEAP_TYPES: readonly FamilyType[] = [
  { name: 'memory', type: 'inuse_objects', unit: 'count', periodType: SPACE },
  { name: 'memory', type: 'inuse_space', unit: 'bytes', periodType: SPACE },
];

/** Sets of dynamic labels in one profile; samples of further sets go without labels. */
export const LABEL_SETS_MAX = 200;

/**
 * A wall profile (samples, wall, cpu) as parts, one for each set of dynamic labels. Wall time is a count of
 * intervals: one column for both types.
 */
export function timeParts(
  profile: PprofObject,
  tables: SampleTables,
  labels: Readonly<Record<string, string>>,
  taken: Taken,
): SamplePart[] {
  const interval = Number(profile.period);
  const family = tables.family({ labels, types: TIME_TYPES });
  const columns = ({ value }: PprofSample): readonly number[] => [
    // Idle time comes as hits without time: it is none of the program's.
    interval > 0 ? Math.round(Number(value[1]) / interval) : 0,
    Math.max(0, Math.round(Number(value[2] ?? 0))),
  ];
  const shared = { family, ...taken, typeColumn: [0, 0, 1], typeScale: [1, interval, 0] };
  return partsOf(profile, tables, shared, columns);
}

/** A heap profile (objects, space) as parts. */
export function heapParts(
  profile: PprofObject,
  tables: SampleTables,
  labels: Readonly<Record<string, string>>,
  taken: Taken,
): SamplePart[] {
  const family = tables.family({ labels, types: HEAP_TYPES });
  const columns = ({ value }: PprofSample): readonly number[] => value.map(Number);
  return partsOf(profile, tables, { family, ...taken }, columns);
}

/** Samples of one set of labels. */
interface Group {
  readonly labels: readonly (readonly [number, number])[];
  readonly entries: { stack: number; values: readonly number[]; spanId: string; traceId: string }[];
}

function partsOf(
  profile: PprofObject,
  tables: SampleTables,
  shared: Omit<SamplePart, 'stacks' | 'columns'>,
  columns: (sample: PprofSample) => readonly number[],
): SamplePart[] {
  const stacks = new Stacks(profile, tables);
  const groups = new Map<string, Group>();
  for (const sample of profile.sample) {
    const values = columns(sample);
    if (values.every((value) => value === 0)) continue;
    const { group, spanId, traceId } = place(sample, profile, tables, groups);
    group.entries.push({ stack: stacks.of(sample), values, spanId, traceId });
  }
  return [...groups.values()].map(({ labels, entries }) => {
    entries.sort((a, b) => compare(b.spanId, a.spanId) || compare(b.traceId, a.traceId));
    const width = entries[0]?.values.length ?? 0;
    return {
      ...shared,
      stacks: entries.map(({ stack }) => stack),
      columns: Array.from({ length: width }, (_, column) =>
        entries.map(({ values }) => values[column] as number),
      ),
      labels,
      spans: runsOf(entries),
    };
  });
}

function place(
  { label }: PprofSample,
  { stringTable: { strings } }: PprofObject,
  tables: SampleTables,
  groups: Map<string, Group>,
): { group: Group; spanId: string; traceId: string } {
  let spanId = '';
  let traceId = '';
  let pairs: [string, string][] = [];
  for (const { key, str } of label) {
    const name = strings[Number(key)] ?? '';
    const value = strings[Number(str)] ?? '';
    if (name === SPAN_KEY) spanId = /^[0-9a-f]{16}$/.test(value) ? value : '';
    else if (name === TRACE_KEY) traceId = /^[0-9a-f]{32}$/.test(value) ? value : '';
    else if (value !== '') pairs.push([name, value]);
  }
  let key = pairs.length === 0 ? '' : JSON.stringify(pairs.sort(([a], [b]) => compare(a, b)));
  if (!groups.has(key) && groups.size >= LABEL_SETS_MAX) {
    key = '';
    pairs = [];
  }
  let group = groups.get(key);
  if (group === undefined) {
    const labels = pairs.map(([name, value]) => [tables.text(name), tables.text(value)] as const);
    group = { labels, entries: [] };
    groups.set(key, group);
  }
  return { group, spanId, traceId };
}

/** Entries with spans come first. */
function runsOf(entries: Group['entries']): SpanRun[] {
  const runs: { spanId: string; traceId: string; entries: number }[] = [];
  for (const { spanId, traceId } of entries) {
    if (spanId === '' && traceId === '') break;
    const last = runs.at(-1);
    if (last?.spanId === spanId && last.traceId === traceId) last.entries++;
    else runs.push({ spanId, traceId, entries: 1 });
  }
  return runs;
}

const compare = (a: string, b: string): number => (a < b ? -1 : Number(a > b));

/** Stacks of one profile in the numbers of the stream; each frame is looked up once. */
class Stacks {
  readonly #profile: PprofObject;
  readonly #tables: SampleTables;
  /** By location id. */
  readonly #frames: number[][] = [];

  constructor(profile: PprofObject, tables: SampleTables) {
    this.#profile = profile;
    this.#tables = tables;
  }

  of({ locationId }: PprofSample): number {
    let stack = 0;
    for (let at = locationId.length - 1; at >= 0; at--) {
      const id = Number(locationId[at]);
      const frames = (this.#frames[id] ??= this.#framesOf(id));
      for (const frame of frames) stack = this.#tables.stack(stack, frame);
    }
    return stack;
  }

  #framesOf(id: number): number[] {
    const { location, function: functions, stringTable } = this.#profile;
    const { strings } = stringTable;
    // Of inlined functions the outermost comes last.
    return (location[id - 1]?.line ?? []).toReversed().map(({ functionId, line }) => {
      const of = functions[Number(functionId) - 1];
      const name = strings[Number(of?.name ?? 0)] ?? '';
      const file = strings[Number(of?.filename ?? 0)] ?? '';
      return this.#tables.frame(nameOf(name, file, Number(line)), file, Number(line));
    });
  }
}

/**
 * A function without a name is known by its place: all of them under one name would be one function. The
 * profiler gives `(anonymous:L#16:C#55)` for time, nothing for memory.
 */
function nameOf(name: string, file: string, line: number): string {
  const [isNameless, at = line, column] =
    name === '' ? [true] : (/^\(anonymous:L#(\d+)(?::C#(\d+))?\)$/.exec(name) ?? []);
  if (isNameless === undefined) return name;
  const base = file.slice(Math.max(file.lastIndexOf('/'), file.lastIndexOf('\\')) + 1);
  // A minified file has one line.
  const where = column === undefined ? `${at}` : `${at}:${column}`;
  return base === '' ? '(anonymous)' : `(anonymous ${base}:${where})`;
}
