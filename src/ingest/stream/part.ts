import { assert } from '../../base/assert.ts';
import { LIMITS } from '../../base/limits.ts';
import { isLabelName, labelValue, sortLabels, validateLabels } from '../../profile/labels.ts';
import type { Label, LabelSet } from '../../profile/labels.ts';
import type { PartReader } from '../../profile/stream/batch.ts';
import { FieldError } from '../../profile/stream/field-error.ts';
import { buildGroups } from '../../storage/column/from-values.ts';
import type { ValueColumn } from '../../storage/column/from-values.ts';
import { saturate } from '../../storage/column/entries.ts';
import type { Entries, TypeTicks } from '../../storage/column/entries.ts';
import type { Dictionary } from '../../storage/dictionary/dictionary.ts';
import type { FragmentPush, PushGroup } from '../../storage/fragment/encode.ts';
import type { ScopeRefs } from './scope-refs.ts';
import { StackSums } from './sum-stacks.ts';
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
  /** Bytes that it adds to a fragment, roughly. */
  readonly bytes: number;
}

/**
 * Turns parts into pushes: each stack of the stream is one look-up, sums and order come from
 * {@link StackSums}. One object serves a thread.
 */
export class PartBuilder {
  readonly #sums = new StackSums();
  /** Stack ids in the scope, by entry. */
  #ids: Uint32Array = new Uint32Array(64);

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
    const { groups, types } = this.#entries(part, family, columns, runs, scope.dictionary);
    const kept: PushGroup[] = [];
    let entries = 0;
    for (const [i, group] of groups.entries()) {
      if (group.stacks.length === 0) continue;
      entries += group.stacks.length;
      const { spanId, traceId } = runs[i] as Run;
      kept.push({ spanId, traceId, entries: group });
    }
    if (entries === 0) return undefined;
    return {
      push: {
        key,
        profileId: part.profileId,
        startMs: part.startMs,
        durationMs: part.durationMs,
        types: types.map((type, t) => ({ ...type, series: series[t] as number })),
        groups: kept,
      },
      entries,
      bytes: 64 * kept.length + entries * (2 + 2 * columns),
    };
  }

  /** Stack ids of all entries: one array look-up each, a walk for those that are new to the scope. */
  #resolve(part: PartReader, { tables, refs, dictionary }: PartScope): void {
    const { stacks } = part;
    if (this.#ids.length < stacks.length) this.#ids = new Uint32Array(2 * stacks.length);
    const ids = this.#ids;
    refs.reserve(tables);
    const known = refs.stacks;
    const last = tables.stacks;
    for (let i = 0; i < stacks.length; i++) {
      const stack = stacks.array[i] as number;
      if (stack > last) {
        const field = `stack_delta[${i}]`;
        fail(part, 'unknown_reference', field, `stack ${stack | 0} of ${last}`);
      }
      const id = known[stack] as number;
      ids[i] = id >= 0 ? id : refs.addStack(stack, tables, dictionary);
    }
  }

  #entries(
    part: PartReader,
    family: StreamFamily,
    columns: number,
    runs: readonly Run[],
    dictionary: Dictionary,
  ): { readonly groups: readonly Entries[]; readonly types: readonly TypeTicks[] } {
    const count = part.stacks.length;
    const { values } = part;
    const scaled = part.typeScale.length > 0 && part.typeScale.every((scale) => scale > 0n);
    const totals =
      scaled && values.wide === undefined ? totalsOf(values.array, count, columns) : [];
    if (totals.length === 0 || !totals.every(Number.isSafeInteger)) {
      return buildGroups(
        this.#ids.subarray(0, count),
        runs.map(({ from, to }) => range(from, to)),
        family.types.map((_, t) => valueColumn(part, count, t)),
        family.periods,
      );
    }
    const { stacks: idEnd } = dictionary.lengths;
    const groups = runs.map(({ from, to }) =>
      this.#sums.sum(this.#ids, from, to, idEnd, values.array, count, columns),
    );
    const types = family.types.map((_, t) => {
      const column = columnOf(part, t);
      const grain = part.typeScale[t] as bigint;
      return { grain, total: saturate(BigInt(totals[column] as number) * grain), column };
    });
    return { groups, types };
  }
}

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
  const used = new Set<number>();
  for (let t = 0; t < types; t++) used.add(typeColumn.array[t] as number);
  const columns = Math.max(...used) + 1;
  if (columns !== used.size) {
    fail(part, 'malformed_batch', 'type_column', 'a column that no type reads');
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

function totalsOf(values: Float64Array, count: number, columns: number): number[] {
  const totals: number[] = [];
  for (let column = 0; column < columns; column++) {
    let total = 0;
    const end = (column + 1) * count;
    for (let i = column * count; i < end; i++) total += values[i] as number;
    totals.push(total);
  }
  return totals;
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

const INT64_MAX = (1n << 63n) - 1n;

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
