import { INT64_MAX } from '../../base/int64.ts';
import { TephraError } from '../../base/errors.ts';
import type { Steps } from '../../base/steps.ts';
import { failProfile } from '../pprof/wire.ts';
import { type OtlpDictionary, SERVICE_KEY } from './dictionary.ts';
import { FieldWalk } from './field-walk.ts';
import type { OtlpLimits } from './limits.ts';
import { labelText } from './resource-labels.ts';
import { seriesType, type SeriesType } from './series-type.ts';
import { checkIndex } from './tables.ts';

/** Samples between two breaks. */
const SAMPLES_AT_ONCE = 1_024;
/** Samples of OTLP 1.8 and 1.9 with values and timestamps and nothing else decode as samples of today. */
const OLD_SENDER = ' (is the sender older than OTLP 1.10?)';
const NO_TYPE = { type: '', unit: '' };

/** Samples of one service. */
interface ServiceSamples {
  readonly service: string;
  /** Which samples, ascending. */
  readonly samples: Uint32Array;
}

/** Reads the profiles of a request, one after the other. What it says is of the profile read last. */
export class ProfileReader {
  readonly #dictionary: OtlpDictionary;
  readonly #limits: OtlpLimits;
  readonly #walk = new FieldWalk(Number.POSITIVE_INFINITY);

  type: SeriesType = seriesType(NO_TYPE, NO_TYPE, 0n);
  timeNanos = 0n;
  durationNanos = 0n;
  /** Bytes of the profile's id. */
  idFrom = 0;
  idTo = 0;
  /** Why the profile cannot be stored although the request can be read. */
  refusal: TephraError | undefined;

  /** Of the sample that was opened last. */
  stack = 0;
  link = 0;
  value = 0n;
  /** Attributes that are labels: all but that of the service. */
  labels: number[] = [];

  /** Bytes of samples. */
  #from: number[] = [];
  #to: number[] = [];
  /** By sample: index into `#services`. */
  #serviceOf: number[] = [];
  #services: string[] = [];
  readonly #serviceIds = new Map<string, number>();
  #service = -1;

  constructor(dictionary: OtlpDictionary, limits: OtlpLimits) {
    this.#dictionary = dictionary;
    this.#limits = limits;
  }

  /**
   * Reads the profile in the request's bytes `[start, end)`. Throws `malformed_profile` for an index that is
   * wrong; what is wrong with this profile alone is in `refusal`.
   */
  *read(start: number, end: number): Steps<void> {
    this.#begin();
    const walk = this.#walk;
    const { bytes, attributeKey } = this.#dictionary;
    const { cursor } = walk;
    let sampleType = NO_TYPE;
    let hasType = false;
    let periodType = NO_TYPE;
    let period = 0n;
    for (let at = start; at < end;) {
      walk.open(bytes, at, end);
      const { no, from, to } = walk;
      at = to;
      if (no === 1) {
        sampleType = this.#valueType(from, to);
        hasType = true;
      } else if (no === 2) {
        this.#from.push(from);
        this.#to.push(to);
      } else if (no === 3) this.timeNanos = fixed64(bytes, from);
      else if (no === 4 || no === 6) {
        cursor.fastRead(bytes, from);
        if (no === 4) this.durationNanos = BigInt.asUintN(64, cursor.big());
        else period = cursor.big();
      } else if (no === 5) periodType = this.#valueType(from, to);
      else if (no === 7) {
        if (to - from !== 0 && to - from !== 16) {
          failProfile(`profile_id of ${to - from} bytes, expected 16`);
        }
        this.idFrom = from;
        this.idTo = to;
      } else if (no === 11) {
        for (let next = from; next < to; next = cursor.at) {
          const index = cursor.fastInt(bytes, next);
          checkIndex(bytes, index, next, attributeKey.length, 'profile attribute');
        }
      }
    }
    if (!hasType) this.#refuse('malformed_profile', 'the profile has no sample_type');
    this.type = seriesType(sampleType, periodType, period);
    for (let sample = 0; sample < this.#from.length; sample++) {
      this.open(sample);
      const value = this.value * this.type.scale;
      if (value > INT64_MAX || value < -INT64_MAX) {
        this.#refuse('malformed_profile', `sample ${sample}: ${value} is beyond int64`);
      }
      this.#serviceOf.push(this.#service);
      if ((sample + 1) % SAMPLES_AT_ONCE === 0) yield;
    }
    if (this.#from.length === 0) {
      this.#refuse('empty_profile', 'expected at least one sample, found none');
    }
  }

  /** The samples by their service: that of the resource is `own`. One group, unless samples name others. */
  services(own: string): ServiceSamples[] {
    const groupOf = new Map<string, number>();
    const groups: { service: string; count: number }[] = [];
    const groupOfService = [own, ...this.#services].map((service) => {
      const group = groupOf.get(service) ?? groups.push({ service, count: 0 }) - 1;
      groupOf.set(service, group);
      return group;
    });
    const groupOfSample = this.#serviceOf.map((service) => groupOfService[service + 1] as number);
    for (const group of groupOfSample) (groups[group] as { count: number }).count++;
    const lists = groups.map(({ count }) => new Uint32Array(count));
    const next = new Uint32Array(groups.length);
    groupOfSample.forEach((group, sample) => {
      const at = next[group] as number;
      (lists[group] as Uint32Array)[at] = sample;
      next[group] = at + 1;
    });
    return groups.flatMap(({ service, count }, group) =>
      count === 0 ? [] : [{ service, samples: lists[group] as Uint32Array }],
    );
  }

  /** Reads a sample again. Throws `malformed_profile`. */
  open(sample: number): void {
    const walk = this.#walk;
    const { bytes, stackFrames, linkSpan } = this.#dictionary;
    const { cursor } = walk;
    const end = this.#to[sample] as number;
    let values = 0;
    let timestamps = 0;
    let sum = 0n;
    this.stack = 0;
    this.link = 0;
    this.labels.length = 0;
    this.#service = -1;
    for (let at = this.#from[sample] as number; at < end;) {
      walk.open(bytes, at, end);
      const { no, from, to } = walk;
      at = to;
      if (no === 1) {
        this.stack = checkIndex(bytes, walk.int(bytes), from, stackFrames.length - 1, 'stack');
      } else if (no === 2) this.#attributes(sample, from, to);
      else if (no === 3) {
        this.link = checkIndex(bytes, walk.int(bytes), from, linkSpan.length, 'link');
      } else if (no === 4) {
        for (let next = from; next < to; next = cursor.at) {
          cursor.fastRead(bytes, next);
          sum += cursor.big();
          values++;
        }
      } else if (no === 5) timestamps += (to - from) / 8;
    }
    this.value = values === 0 ? BigInt(timestamps) : sum;
    if (values !== timestamps && !(values === 0 || (values === 1 && timestamps === 0))) {
      const found = `${values} values and ${timestamps} timestamps`;
      this.#refuse('malformed_profile', `sample ${sample}: ${found}, expected as many`);
    }
    if (values === 0 && timestamps === 0) {
      this.#refuse('malformed_profile', `sample ${sample}: no values and no timestamps`);
    }
  }

  #begin(): void {
    this.timeNanos = this.durationNanos = 0n;
    this.idFrom = this.idTo = 0;
    this.refusal = undefined;
    this.#from = [];
    this.#to = [];
    this.#serviceOf = [];
    this.#services = [];
    this.#serviceIds.clear();
  }

  /** Attributes must be there and their keys differ: what is none betrays a layout that looks like ours. */
  #attributes(sample: number, start: number, end: number): void {
    const { bytes, attributeKey } = this.#dictionary;
    const { cursor } = this.#walk;
    const { labels } = this;
    const { labelsPerSampleMax } = this.#limits;
    for (let at = start; at < end; at = cursor.at) {
      const index = cursor.fastInt(bytes, at);
      checkIndex(bytes, index, at, attributeKey.length, `sample ${sample}${OLD_SENDER}: attribute`);
      if (index === 0) failProfile(`sample ${sample}: attribute 0 stands for none${OLD_SENDER}`);
      const key = attributeKey[index] as number;
      const isService = key === SERVICE_KEY;
      if (isService && this.#service >= 0) failTwice(sample);
      for (const other of labels) if (attributeKey[other] === key) failTwice(sample);
      if (isService) this.#service = this.#serviceId(index);
      else if (labels.length >= labelsPerSampleMax) {
        throw new TephraError(
          'sample_labels_limit',
          `sample ${sample}: more than ${labelsPerSampleMax}`,
        );
      } else labels.push(index);
    }
  }

  #serviceId(attribute: number): number {
    const { bytes, attributeFrom, attributeTo } = this.#dictionary;
    const from = attributeFrom[attribute] as number;
    const text = labelText(bytes, from, attributeTo[attribute] as number, this.#limits);
    if (text === '') return -1;
    let id = this.#serviceIds.get(text);
    if (id === undefined) {
      if (this.#services.length >= this.#limits.otlpProfilesMax) {
        const found = `more than ${this.#limits.otlpProfilesMax} services in one profile`;
        throw new TephraError('profiles_limit', found);
      }
      id = this.#services.push(text) - 1;
      this.#serviceIds.set(text, id);
    }
    return id;
  }

  #valueType(start: number, end: number): { type: string; unit: string } {
    const walk = this.#walk;
    const dictionary = this.#dictionary;
    const { bytes, strings } = dictionary;
    let type = 0;
    let unit = 0;
    for (let at = start; at < end; at = walk.to) {
      walk.open(bytes, at, end);
      const { no, from } = walk;
      if (no > 2) continue;
      const index = strings.check(bytes, walk.int(bytes), from, 'type or unit');
      if (no === 1) type = index;
      else unit = index;
    }
    return { type: dictionary.text(type), unit: dictionary.text(unit) };
  }

  #refuse(reason: 'malformed_profile' | 'empty_profile', detail: string): void {
    this.refusal ??= new TephraError(reason, detail);
  }
}

function failTwice(sample: number): never {
  return failProfile(`sample ${sample}: two attributes have the same key${OLD_SENDER}`);
}

function fixed64(bytes: Uint8Array, at: number): bigint {
  return new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(at, true);
}
