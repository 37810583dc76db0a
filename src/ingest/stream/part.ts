import { INT64_MAX } from '../../base/int64.ts';
import { assert } from '../../base/assert.ts';
import { LIMITS } from '../../base/limits.ts';
import { isLabelName, labelValue, sortLabels, validateLabels } from '../../profile/labels.ts';
import type { Label, LabelSet } from '../../profile/labels.ts';
import type { PartReader } from '../../profile/stream/batch.ts';
import { FieldError } from '../../profile/stream/field-error.ts';
import { buildGroups } from '../../storage/column/from-values.ts';
import type { ValueColumn } from '../../storage/column/from-values.ts';
import { saturate, seriesColumn } from '../../storage/column/entries.ts';
import type { Entries, TypeColumn } from '../../storage/column/entries.ts';
import { EntriesPacker, type EncodedEntries } from '../../storage/column/pack.ts';
import { StackSums } from '../../storage/column/stack-sums.ts';
import type { Dictionary } from '../../storage/dictionary/dictionary.ts';
import type { FragmentPush, PushGroup } from '../../storage/fragment/encode.ts';
import type { ScopeRefs } from './scope-refs.ts';
import type { StreamFamily, StreamTables } from './tables.ts';

/** Where a part is resolved. */
export interface PartScope {
  readonly tables: StreamTables;
  readonly refs: ScopeRefs;
  readonly dictionary: Dictionary;
}

/** A part ready for the writer; undefined where all its values are 0. */
export interface BuiltPart {
  readonly push: FragmentPush;
  readonly entries: number;
}

/**
 * Turns parts into pushes: each stack of the stream is one look-up, sums and order come from
 * {@link StackSums}. One object serves a thread.
 */
export class PartBuilder {
  readonly #sums = new StackSums();
  /** Stack ids in the scope, by entry. */
  #ids: Uint32Array = new Uint32Array(64);
  /** Whether they ascend strictly: then nothing has to be summed. */
  #ascends = true;
  readonly #packer = new EntriesPacker();
  /** By column; and whether any value is 0. */
  readonly #totals: number[] = [];
  #hasZero = false;
  /** No sum of ticks is 2^32 or more. */
  #fitsPacked = true;

  /**
   * Throws `unknown_reference`, `malformed_batch` or the reason of a label. The dictionary may then
   * have rows that nothing refers to.
   */
  build(part: PartReader, key: Uint8Array, scope: PartScope): BuiltPart | undefined {
    const { tables } = scope;
    const family = part.series === 0 ? undefined : tables.families[part.series];
    if (family === undefined) {
      const known = tables.families.length - 1;
      fail(part, 'unknown_reference', 'series', `series ${part.series} of ${known}`);
    }
    const count = part.stacks.length;
    const columns = columnsOf(part, family);
    if (part.values.length !== count * columns) {
      const text = `${part.values.length} values: expected ${count} entries times ${columns}`;
      fail(part, 'malformed_batch', 'values', text);
    }
    if (part.typeScale.length !== 0 && part.typeScale.length !== family.types.length) {
      const text = `${part.typeScale.length} rows: expected none or ${family.types.length}`;
      fail(part, 'malformed_batch', 'type_scale', text);
    }
    const runs = runsOf(part);
    this.#resolve(part, scope);
    const series = seriesOf(part, scope);
    const summed = this.#sumColumns(part, count, columns)
      ? this.#scaled(part, family, series, columns, runs, scope.dictionary)
      : this.#general(part, family, series, runs);
    const { groups, types, entries } = summed;
    if (entries === 0) return undefined;
    const { profileId, startMs, durationMs } = part;
    return {
      push: { key, profileId, startMs, durationMs, types, groups },
      entries,
    };
  }

  /** Stack ids of all entries: one array look-up each, a walk for those that are new to the scope. */
  #resolve(part: PartReader, { tables, refs, dictionary }: PartScope): void {
    const { array, length } = part.stacks;
    if (this.#ids.length < length) this.#ids = new Uint32Array(2 * length);
    const ids = this.#ids;
    refs.reserve(tables);
    const known = refs.stacks;
    const last = tables.stacks;
    let before = -1;
    let ascends = true;
    for (let i = 0; i < length; i++) {
      const stack = array[i] as number;
      if (stack > last) {
        const field = `stack_delta[${i}]`;
        fail(part, 'unknown_reference', field, `stack ${stack | 0} of ${last}`);
      }
      let id = known[stack] as number;
      if (id < 0) id = refs.addStack(stack, tables, dictionary);
      ids[i] = id;
      if (id <= before) ascends = false;
      before = id;
    }
    this.#ascends = ascends;
  }

  /** Sums the columns. Whether the client gave all scales, and no sum of ticks can pass 2^53. */
  #sumColumns({ typeScale, values }: PartReader, count: number, columns: number): boolean {
    if (typeScale.length === 0 || values.wide !== undefined) return false;
    for (const scale of typeScale) if (scale === 0n) return false;
    this.#totals.length = columns;
    this.#hasZero = false;
    this.#fitsPacked = true;
    const { array } = values;
    for (let column = 0; column < columns; column++) {
      let total = 0;
      const end = (column + 1) * count;
      for (let i = column * count; i < end; i++) {
        const value = array[i] as number;
        total += value;
        if (value === 0) this.#hasZero = true;
      }
      if (!Number.isSafeInteger(total)) return false;
      if (total >= TWO_32) this.#fitsPacked = false;
      this.#totals[column] = total;
    }
    return true;
  }

  /** Entries by run, encoded already where their ticks are small. */
  #scaled(
    part: PartReader,
    family: StreamFamily,
    series: readonly number[],
    columns: number,
    runs: readonly Run[],
    dictionary: Dictionary,
  ): Summed {
    const rows = part.stacks.length;
    const values = part.values.array;
    const groups: PushGroup[] = [];
    let entries = 0;
    for (const { spanId, traceId, from, to } of runs) {
      let count = to - from;
      let group: Entries | EncodedEntries;
      if (this.#ascends && !this.#hasZero && this.#fitsPacked) {
        if (count === 0) continue;
        group = this.#packer.pack(this.#ids, from, count, values, from, rows, columns);
      } else {
        const { stacks: idEnd } = dictionary.lengths;
        const sums = this.#sums;
        sums.add(this.#ids, from, to, idEnd, values, rows, columns);
        if (this.#fitsPacked && columns === 1 && sums.canDrain) {
          group = this.#packer.packSums(sums);
          ({ count } = sums.drained);
          if (count === 0) continue;
        } else {
          count = sums.take(columns, 'dropped');
          if (count === 0) continue;
          group = this.#fitsPacked
            ? this.#packer.pack(sums.stacks, 0, count, sums.ticks, 0, sums.stride, columns)
            : sums.entries(count, columns);
        }
      }
      entries += count;
      groups.push({ spanId, traceId, entries: group });
    }
    const types: TypeColumn[] = [];
    for (let t = 0; t < family.types.length; t++) {
      const column = columnOf(part, t);
      const grain = part.typeScale[t] as bigint;
      const total = saturate(BigInt(this.#totals[column] as number) * grain);
      types.push({ series: series[t] as number, grain, total, column });
    }
    return { groups, types, entries };
  }

  /** For values of any size, and where a common divisor has to be looked for. */
  #general(
    part: PartReader,
    family: StreamFamily,
    series: readonly number[],
    runs: readonly Run[],
  ): Summed {
    const count = part.stacks.length;
    const built = buildGroups(
      this.#ids.subarray(0, count),
      runs.map(({ from, to }) => range(from, to)),
      family.types.map((_, t) => valueColumn(part, count, t)),
      family.periods,
    );
    const groups: PushGroup[] = [];
    let entries = 0;
    for (const [i, group] of built.groups.entries()) {
      if (group.stacks.length === 0) continue;
      entries += group.stacks.length;
      const { spanId, traceId } = runs[i] as Run;
      groups.push({ spanId, traceId, entries: group });
    }
    const types = built.types.map((type, t) => seriesColumn(series[t] as number, type));
    return { groups, types, entries };
  }
}

/** Groups of a push, without empty ones, and how its types read them. */
interface Summed {
  readonly groups: readonly PushGroup[];
  readonly types: readonly TypeColumn[];
  readonly entries: number;
}

const TWO_32 = 0x1_0000_0000;

/** Entries `[from, to)` of one span. */
interface Run {
  readonly spanId: string;
  readonly traceId: string;
  readonly from: number;
  readonly to: number;
}

function fail(
  part: PartReader,
  reason: 'unknown_reference' | 'malformed_batch',
  name: string,
  text: string,
): never {
  throw new FieldError(reason, part.field(name), text);
}

/** How many value columns the part has. */
function columnsOf(part: PartReader, family: StreamFamily): number {
  const { typeColumn } = part;
  const types = family.types.length;
  if (typeColumn.length === 0) return types;
  if (typeColumn.length !== types) {
    const text = `${typeColumn.length} rows: expected none or ${types}`;
    fail(part, 'malformed_batch', 'type_column', text);
  }
  let columns = 0;
  for (let t = 0; t < types; t++) columns = Math.max(columns, columnOf(part, t) + 1);
  for (let column = 0; column < columns; column++) {
    // No more columns than types: a column is missing before this loop gets long.
    let isRead = false;
    for (let t = 0; t < types; t++) if (columnOf(part, t) === column) isRead = true;
    if (!isRead) fail(part, 'malformed_batch', 'type_column', 'a column that no type reads');
  }
  return columns;
}

function columnOf({ typeColumn }: PartReader, type: number): number {
  return typeColumn.length === 0 ? type : (typeColumn.array[type] as number);
}

/** The spans of the part, and what lies behind them. One span in several runs stays several groups. */
function runsOf(part: PartReader): readonly Run[] {
  const count = part.stacks.length;
  if (part.spans.length === 0) return [{ spanId: '', traceId: '', from: 0, to: count }];
  const runs: Run[] = [];
  let from = 0;
  for (const [i, { spanId, traceId, entries }] of part.spans.entries()) {
    const to = from + entries;
    if (to > count) {
      const text = `runs of ${to} entries, the part has ${count}`;
      fail(part, 'malformed_batch', `spans[${i}].entries`, text);
    }
    runs.push({ spanId, traceId, from, to });
    from = to;
  }
  if (from < count) runs.push({ spanId: '', traceId: '', from, to: count });
  return runs;
}

/** Values of a type by entry, times its scale. */
function valueColumn(part: PartReader, count: number, type: number): ValueColumn {
  const { values, typeScale } = part;
  const from = columnOf(part, type) * count;
  const given = typeScale[type] ?? 0n;
  const scale = given === 0n ? 1n : given;
  if (values.wide === undefined && scale === 1n) return values.array.slice(from, from + count);
  const wide = new BigInt64Array(count);
  for (let i = 0; i < count; i++) {
    const value = values.wide?.get(from + i) ?? BigInt(values.array[from + i] as number);
    const product = value * scale;
    wide[i] = product > INT64_MAX ? INT64_MAX : product;
  }
  return wide;
}

function range(from: number, to: number): Uint32Array {
  return Uint32Array.from({ length: to - from }, (_, i) => from + i);
}

function seriesOf(part: PartReader, { tables, refs, dictionary }: PartScope): readonly number[] {
  const { labelName, labelValue: values, series } = part;
  if (labelName.length !== values.length) {
    const text = `${values.length} rows: expected ${labelName.length}, as label_name has`;
    fail(part, 'malformed_batch', 'label_value', text);
  }
  if (labelName.length === 0) return refs.series(series, tables, dictionary);
  let key = `${series}`;
  for (let i = 0; i < labelName.length; i++) key += `,${labelName.array[i]}=${values.array[i]}`;
  return refs.labelledSeries(key, series, tables, dictionary, () => labelsOf(part, tables));
}

/** Labels of the family and those of the samples; where both have a name the family's stands. */
function labelsOf(part: PartReader, tables: StreamTables): LabelSet {
  const row = tables.families[part.series];
  assert(row !== undefined, 'a family that is there');
  if (part.labelName.length > LIMITS.labelsPerSampleMax) {
    const text = `${part.labelName.length} > ${LIMITS.labelsPerSampleMax}`;
    throw new FieldError('sample_labels_limit', part.field('label_name'), text);
  }
  const own: Label[] = [];
  for (let i = 0; i < part.labelName.length; i++) {
    const name = stringAt(part, tables, 'label_name', i, part.labelName.array[i] as number);
    const value = stringAt(part, tables, 'label_value', i, part.labelValue.array[i] as number);
    if (!isLabelName(name) || name.startsWith('__')) {
      const text = `${JSON.stringify(name.slice(0, 100))} is not for samples`;
      throw new FieldError('invalid_label_name', part.field(`label_name[${i}]`), text);
    }
    if (labelValue(row.labels, name) === undefined) own.push([name, value]);
  }
  try {
    return validateLabels(sortLabels([...row.labels, ...own]), 'ingest');
  } catch (thrown) {
    throw FieldError.of(thrown, part.field('label_name'));
  }
}

function stringAt(
  part: PartReader,
  tables: StreamTables,
  name: string,
  index: number,
  id: number,
): string {
  if (tables.hasString(id)) return tables.text(id);
  return fail(
    part,
    'unknown_reference',
    `${name}[${index}]`,
    `string ${id} of ${tables.rows.strings}`,
  );
}
