import { LIMITS } from '../base/limits.ts';
import { type ProfileColumns, stringAt } from './columns.ts';
import { isLabelName, type Label, sortLabels } from './labels.ts';

/** The samples of one profile by what their labels say. */
export interface LabelSplit {
  /** At least one group if there is a sample; the group without labels is the first, if there. */
  readonly groups: readonly LabelGroup[];
  /** Index into `spans` by sample, -1 = none; undefined where no sample has a span. */
  readonly spanOf: Int32Array | undefined;
  readonly spans: readonly Span[];
  /** Label sets beyond the limit, whose samples are in the group with only {@link CUT_LABEL}. */
  readonly foldedSets: number;
}

/** Samples with the same labels. */
export interface LabelGroup {
  /** Sorted by name. */
  readonly labels: readonly Label[];
  /** Ascending indices of samples; undefined = all samples. */
  readonly samples: Uint32Array | undefined;
}

/** A span of a trace, in lower-case hexadecimal; '' where not known. */
export interface Span {
  readonly spanId: string;
  readonly traceId: string;
}

/**
 * Label of the series that takes the samples whose own labels were cut, because their push had too
 * many sets of them: so queries can tell how much that is. Its value is {@link CUT_VALUE}.
 */
export const CUT_LABEL = '__cut__';
/** See {@link CUT_LABEL}. */
const CUT_VALUE = 'sample_labels';

const SPAN_ID = /^[0-9a-f]{16}$/i;
const TRACE_ID = /^[0-9a-f]{32}$/i;

/** What a key of a sample label is for. */
const KEY_LABEL = 0;
const KEY_SPAN = 1;
const KEY_TRACE = 2;
const KEY_IGNORED = 3;
const KEYS: ReadonlyMap<string, number> = new Map([
  ['span_id', KEY_SPAN],
  // The old name of span_id.
  ['profile_id', KEY_SPAN],
  ['trace_id', KEY_TRACE],
]);

/**
 * Groups samples by their set of string labels. Numeric labels are ignored, as are names that
 * cannot be stored or that belong to the server (`__…`); values that are too long are cut. Span and
 * trace ids are no labels even where malformed: each would be a series of its own. Of a name twice
 * on one sample the first counts. Only as many sets as one push may have are told apart; the
 * samples of the others go to one group that says so.
 */
export function splitByLabels(
  columns: ProfileColumns,
  setsMax: number = LIMITS.labelSetsPerPushMax,
): LabelSplit {
  const { sampleCount, sampleLabelStart, labelText } = columns;
  const labelCount = sampleLabelStart[sampleCount] as number;
  let hasText = false;
  for (let i = 0; i < labelCount && !hasText; i++) hasText = labelText[i] !== 0;
  if (!hasText) {
    const groups = sampleCount === 0 ? [] : [{ labels: [], samples: undefined }];
    return { groups, spanOf: undefined, spans: [], foldedSets: 0 };
  }
  return new Splitter(columns, setsMax).split();
}

/** One split: the memory of which key is what, which set is which group. */
class Splitter {
  readonly #columns: ProfileColumns;
  readonly #setsMax: number;
  /** What a key (string index) is for. */
  readonly #keys = new Map<number, number>();
  /** Group by the string indices of a set, and by its texts: two indices may be one text. */
  readonly #groupByIndices = new Map<string, number>();
  readonly #groupByTexts = new Map<string, number>();
  readonly #labels: Label[][] = [[]];
  readonly #folded = new Set<string>();
  /** The group of the samples whose labels were cut; 0 = none yet. */
  #cutGroup = 0;
  readonly #spanByIds = new Map<string, number>();
  readonly #spans: Span[] = [];

  constructor(columns: ProfileColumns, setsMax: number) {
    this.#columns = columns;
    this.#setsMax = setsMax;
  }

  split(): LabelSplit {
    const { sampleCount, sampleLabelStart } = this.#columns;
    const groupOf = new Uint32Array(sampleCount);
    let spanOf: Int32Array | undefined;
    for (let sample = 0; sample < sampleCount; sample++) {
      const from = sampleLabelStart[sample] as number;
      const to = sampleLabelStart[sample + 1] as number;
      if (from === to) continue;
      groupOf[sample] = this.#groupOf(from, to);
      const span = this.#spanOf(from, to);
      if (span >= 0) {
        spanOf ??= new Int32Array(sampleCount).fill(-1);
        spanOf[sample] = span;
      }
    }
    return {
      groups: this.#groups(groupOf),
      spanOf,
      spans: this.#spans,
      foldedSets: this.#folded.size,
    };
  }

  /** Samples by group, in one array that the groups share. */
  #groups(groupOf: Uint32Array): LabelGroup[] {
    const starts = new Uint32Array(this.#labels.length + 1);
    for (const group of groupOf) starts[group + 1] = (starts[group + 1] as number) + 1;
    for (let i = 1; i < starts.length; i++) {
      starts[i] = (starts[i] as number) + (starts[i - 1] as number);
    }
    const next = starts.slice();
    const samples = new Uint32Array(groupOf.length);
    groupOf.forEach((group, sample) => {
      const slot = next[group] as number;
      samples[slot] = sample;
      next[group] = slot + 1;
    });
    const groups: LabelGroup[] = [];
    this.#labels.forEach((labels, group) => {
      const from = starts[group] as number;
      const to = starts[group + 1] as number;
      if (from === to) return;
      const all = to - from === groupOf.length;
      groups.push({ labels, samples: all ? undefined : samples.subarray(from, to) });
    });
    return groups;
  }

  #keyOf(key: number): number {
    let kind = this.#keys.get(key);
    if (kind === undefined) {
      const name = stringAt(this.#columns, key);
      const storable =
        isLabelName(name) &&
        !name.startsWith('__') &&
        Buffer.byteLength(name) <= LIMITS.labelNameBytesMax;
      kind = KEYS.get(name) ?? (storable ? KEY_LABEL : KEY_IGNORED);
      this.#keys.set(key, kind);
    }
    return kind;
  }

  #groupOf(from: number, to: number): number {
    const { labelKey, labelText } = this.#columns;
    let indices = '';
    for (let i = from; i < to; i++) {
      const text = labelText[i] as number;
      const key = labelKey[i] as number;
      if (text !== 0 && this.#keyOf(key) === KEY_LABEL) indices += `${key}=${text},`;
    }
    if (indices === '') return 0;
    let group = this.#groupByIndices.get(indices);
    if (group === undefined) {
      group = this.#groupOfTexts(from, to);
      this.#groupByIndices.set(indices, group);
    }
    return group;
  }

  #groupOfTexts(from: number, to: number): number {
    const { labelKey, labelText } = this.#columns;
    const labels = new Map<string, string>();
    for (let i = from; i < to; i++) {
      const text = labelText[i] as number;
      const key = labelKey[i] as number;
      if (text === 0 || this.#keyOf(key) !== KEY_LABEL) continue;
      const name = stringAt(this.#columns, key);
      const value = cutValue(stringAt(this.#columns, text));
      if (value !== '' && !labels.has(name)) labels.set(name, value);
    }
    if (labels.size === 0) return 0;
    const set = sortLabels([...labels]);
    const texts = JSON.stringify(set);
    let group = this.#groupByTexts.get(texts);
    if (group === undefined) {
      if (this.#labels.length - (this.#cutGroup === 0 ? 0 : 1) > this.#setsMax) {
        this.#folded.add(texts);
        if (this.#cutGroup === 0) {
          this.#cutGroup = this.#labels.push([[CUT_LABEL, CUT_VALUE]]) - 1;
        }
        return this.#cutGroup;
      }
      group = this.#labels.push(set) - 1;
      this.#groupByTexts.set(texts, group);
    }
    return group;
  }

  #spanOf(from: number, to: number): number {
    const { labelKey, labelText } = this.#columns;
    let spanText = 0;
    let traceText = 0;
    for (let i = from; i < to; i++) {
      const text = labelText[i] as number;
      if (text === 0) continue;
      const kind = this.#keyOf(labelKey[i] as number);
      if (kind === KEY_SPAN) spanText = text;
      else if (kind === KEY_TRACE) traceText = text;
    }
    if (spanText === 0 && traceText === 0) return -1;
    const indices = `${spanText},${traceText}`;
    let span = this.#spanByIds.get(indices);
    if (span === undefined) {
      const spanId = this.#id(spanText, SPAN_ID);
      const traceId = this.#id(traceText, TRACE_ID);
      span = spanId === '' && traceId === '' ? -1 : this.#spans.push({ spanId, traceId }) - 1;
      this.#spanByIds.set(indices, span);
    }
    return span;
  }

  #id(text: number, form: RegExp): string {
    const id = text === 0 ? '' : stringAt(this.#columns, text);
    return form.test(id) ? id.toLowerCase() : '';
  }
}

/** A value of at most the bytes that a label may have. */
function cutValue(value: string): string {
  const bytes = Buffer.from(value);
  if (bytes.byteLength <= LIMITS.labelValueBytesMax) return value;
  let end: number = LIMITS.labelValueBytesMax;
  while (end > 0 && ((bytes[end] as number) & 0xc0) === 0x80) end--;
  return bytes.toString('utf8', 0, end);
}
