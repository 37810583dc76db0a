import { isLabelName, type Label, UNKNOWN_SERVICE } from '../labels.ts';
import { cutText } from '../pprof/tables.ts';
import { type OtlpDictionary, textOf } from './dictionary.ts';
import { FieldWalk } from './field-walk.ts';
import type { OtlpLimits } from './limits.ts';
import { OTHER, TEXT, ValueReader } from './value.ts';

const SERVICE_NAME = 'service.name';
const EXECUTABLE = 'process.executable.name';

/** The field of `attributes` in a resource and in a scope. */
export const RESOURCE_ATTRIBUTES = 1;
/** See {@link RESOURCE_ATTRIBUTES}. */
export const SCOPE_ATTRIBUTES = 3;

/** What the attributes of a resource and of a scope in it say. */
export class ResourceLabels {
  readonly #limits: OtlpLimits;
  readonly #dropped: ReadonlySet<string>;
  readonly #walk = new FieldWalk(Number.POSITIVE_INFINITY);
  readonly #values = new ValueReader(Number.POSITIVE_INFINITY);
  readonly #labels = new Map<string, string>();
  #service = '';
  #executable = '';

  /** `dropped`: names of attributes that never become labels. */
  constructor(limits: OtlpLimits, dropped: ReadonlySet<string>) {
    this.#limits = limits;
    this.#dropped = dropped;
  }

  /** What this and another that comes later say; of a name twice the first counts. */
  copy(): ResourceLabels {
    const copy = new ResourceLabels(this.#limits, this.#dropped);
    for (const [name, value] of this.#labels) copy.#labels.set(name, value);
    copy.#service = this.#service;
    copy.#executable = this.#executable;
    return copy;
  }

  /** Adds the attributes of the resource or scope in `bytes[start, end)`. Throws `malformed_profile`. */
  add(dictionary: OtlpDictionary, start: number, end: number, attributes: number): void {
    const { bytes } = dictionary;
    const walk = this.#walk;
    for (let at = start; at < end;) {
      walk.open(bytes, at, end);
      const { no, from, to } = walk;
      at = to;
      if (no === attributes) this.#attribute(dictionary, from, to);
    }
  }

  /** The service of what does not name another. */
  get service(): string {
    if (this.#service !== '') return this.#service;
    return this.#executable === '' ? UNKNOWN_SERVICE : `${UNKNOWN_SERVICE}:${this.#executable}`;
  }

  /** The labels of a series of this service, without `__name__`. */
  labels(service: string): Label[] {
    const labels: Label[] = [
      ['service_name', service],
      ['__otel__', 'true'],
    ];
    for (const [name, value] of this.#labels) {
      labels.push([name, name === SERVICE_NAME ? service : value]);
    }
    return labels;
  }

  #attribute(dictionary: OtlpDictionary, from: number, to: number): void {
    const { bytes, strings } = dictionary;
    const values = this.#values;
    values.readKeyValue(bytes, from, to, strings);
    const { keyFrom, keyTo, kind } = values;
    const { labelNameBytesMax, labelsPerSeriesMax } = this.#limits;
    // More than are allowed are refused in any case, and must not take memory.
    if (kind === OTHER || this.#labels.size > labelsPerSeriesMax) return;
    if (keyFrom === keyTo || keyTo - keyFrom > labelNameBytesMax) return;
    const name = textOf(bytes, keyFrom, keyTo);
    const value =
      kind === TEXT
        ? labelText(bytes, values.from, values.to, this.#limits)
        : values.wholeText(bytes);
    if (name === SERVICE_NAME) this.#service ||= value;
    if (name === EXECUTABLE) this.#executable ||= value;
    // `service_name` is ours, names with `__` are the server's.
    if (name === 'service_name' || name.startsWith('__') || !isLabelName(name)) return;
    if (this.#dropped.has(name) || value === '' || this.#labels.has(name)) return;
    this.#labels.set(name, value);
  }
}

/** A text as the value of a label: cut where it is longer than one may be. */
export function labelText(
  bytes: Uint8Array,
  from: number,
  to: number,
  { labelValueBytesMax }: OtlpLimits,
): string {
  const isLong = to - from > labelValueBytesMax;
  const text = textOf(bytes, from, isLong ? cutText(bytes, from, from + labelValueBytesMax) : to);
  // What replaces bytes that are no text takes more bytes than they.
  const valid = Buffer.from(text);
  if (valid.byteLength <= labelValueBytesMax) return text;
  return textOf(valid, 0, cutText(valid, 0, labelValueBytesMax));
}
