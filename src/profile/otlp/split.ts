import { createHash } from 'node:crypto';
import { hex } from '../../base/bytes.ts';
import { TephraError, type WireError } from '../../base/errors.ts';
import type { Steps } from '../../base/steps.ts';
import type { Label } from '../labels.ts';
import { isZero, OtlpDictionary } from './dictionary.ts';
import { FieldWalk } from './field-walk.ts';
import { otlpJsonToBinary } from './json.ts';
import { OTLP_LIMITS, type OtlpLimits } from './limits.ts';
import { PprofWriter } from './pprof-writer.ts';
import { ProfileReader } from './profile-reader.ts';
import { RESOURCE_ATTRIBUTES, ResourceLabels, SCOPE_ATTRIBUTES } from './resource-labels.ts';
import { OtlpScan } from './scan.ts';

/** How a request is split. */
export interface OtlpSplitOptions {
  /** The request is OTLP/JSON, not protobuf. */
  readonly isJson: boolean;
  /** Bytes of all pushes together. */
  readonly bytesMax: number;
  /** Names of resource and scope attributes that become no labels. */
  readonly droppedAttributes: readonly string[];
}

/** One push: a profile of a request, or what one service has of it. */
export interface OtlpPush {
  /** Which profile of the request, from 0. */
  readonly profile: number;
  /** With `__name__` and `service_name`. */
  readonly labels: readonly Label[];
  /** As hexadecimal, '' for none. */
  readonly profileId: string;
  /** pprof, not compressed, in a buffer of its own. */
  readonly payload: Uint8Array;
}

/** What a request holds. */
export interface OtlpSplit {
  readonly profiles: number;
  readonly pushes: readonly OtlpPush[];
  /** Profiles that contradict themselves; the others are fine. */
  readonly refused: readonly { readonly profile: number; readonly error: WireError }[];
  /** Bytes of all pushes, about. */
  readonly bytes: number;
}

/** What a push costs beside its bytes. */
const PUSH_BYTES = 256;

/**
 * Splits an `ExportProfilesServiceRequest` into profiles that stand for themselves, so that everything behind
 * knows only pprof. Throws `otlp_layout`, `malformed_protobuf`, `malformed_json`, `malformed_profile` for an
 * index that is wrong, `decompressed_size` for pushes beyond `bytesMax`, or the reason of a limit:
 * then nothing of the request may be stored.
 */
export function* splitOtlp(
  payload: Uint8Array,
  options: OtlpSplitOptions,
  limits: OtlpLimits = OTLP_LIMITS,
): Steps<OtlpSplit> {
  const given = options.isJson ? yield* otlpJsonToBinary(payload, limits) : payload;
  const bytes = new Uint8Array(given.buffer, given.byteOffset, given.byteLength);
  const scan = new OtlpScan(limits);
  yield* scan.run(bytes);
  const dictionary = yield* OtlpDictionary.read(bytes, scan, limits);
  const splitter = new Splitter(dictionary, options, limits);
  yield* splitter.request();
  return splitter.split();
}

/** Where a profile comes from: its resource, and its scope in that. */
interface Origin {
  readonly labels: ResourceLabels;
  /** Of their bytes. */
  readonly digest: Uint8Array;
}

class Splitter {
  readonly #dictionary: OtlpDictionary;
  readonly #options: OtlpSplitOptions;
  readonly #limits: OtlpLimits;
  readonly #walk = new FieldWalk(Number.POSITIVE_INFINITY);
  readonly #writer: PprofWriter;
  readonly #reader: ProfileReader;
  readonly #dropped: ReadonlySet<string>;
  readonly #pushes: OtlpPush[] = [];
  readonly #refused: { profile: number; error: WireError }[] = [];
  /** Profiles with the same bytes so far: two of them in one request are two. */
  readonly #twins = new Map<string, number>();
  #profiles = 0;
  #bytes = 0;

  constructor(dictionary: OtlpDictionary, options: OtlpSplitOptions, limits: OtlpLimits) {
    this.#dictionary = dictionary;
    this.#options = options;
    this.#limits = limits;
    this.#writer = new PprofWriter(dictionary);
    this.#reader = new ProfileReader(dictionary, limits);
    this.#dropped = new Set(options.droppedAttributes);
  }

  split(): OtlpSplit {
    return {
      profiles: this.#profiles,
      pushes: this.#pushes,
      refused: this.#refused,
      bytes: this.#bytes,
    };
  }

  *request(): Steps<void> {
    const walk = this.#walk;
    const { bytes } = this.#dictionary;
    for (let at = 0; at < bytes.byteLength;) {
      walk.open(bytes, at, bytes.byteLength);
      const { no, from, to } = walk;
      at = to;
      if (no === 1) yield* this.#resource(from, to);
    }
  }

  *#resource(start: number, end: number): Steps<void> {
    const walk = this.#walk;
    const { bytes } = this.#dictionary;
    let resource: Origin | undefined;
    for (let at = start; at < end;) {
      walk.open(bytes, at, end);
      const { no, from, to } = walk;
      at = to;
      if (no !== 2) continue;
      // Scopes come before or after the resource, and may be empty.
      resource ??= this.#origin(start, end, RESOURCE_ATTRIBUTES, undefined);
      yield* this.#scope(from, to, resource);
    }
    yield;
  }

  *#scope(start: number, end: number, resource: Origin): Steps<void> {
    const walk = this.#walk;
    const { bytes } = this.#dictionary;
    let scope: Origin | undefined;
    for (let at = start; at < end;) {
      walk.open(bytes, at, end);
      const { no, from, to } = walk;
      at = to;
      if (no !== 2) continue;
      scope ??= this.#origin(start, end, SCOPE_ATTRIBUTES, resource);
      yield* this.#profile(from, to, scope);
      yield;
    }
  }

  /** What field 1 of a message, a resource or a scope, adds to what it is in. */
  #origin(start: number, end: number, attributes: number, outer: Origin | undefined): Origin {
    const walk = this.#walk;
    const { bytes } = this.#dictionary;
    const labels = outer?.labels.copy() ?? new ResourceLabels(this.#limits, this.#dropped);
    const digest = createHash('sha256').update(outer?.digest ?? '');
    for (let at = start; at < end;) {
      walk.open(bytes, at, end);
      const { no, from, to } = walk;
      at = to;
      if (no !== 1) continue;
      labels.add(this.#dictionary, from, to, attributes);
      digest.update(bytes.subarray(from, to));
    }
    return { labels, digest: digest.digest() };
  }

  *#profile(start: number, end: number, { labels, digest }: Origin): Steps<void> {
    const profile = this.#profiles++;
    const reader = this.#reader;
    yield* reader.read(start, end);
    if (reader.refusal !== undefined) {
      this.#refused.push({ profile, error: reader.refusal.toWire() });
      return;
    }
    const { bytes } = this.#dictionary;
    const { idFrom, idTo } = reader;
    const profileId = isZero(bytes, idFrom, idTo) ? '' : hex(bytes.subarray(idFrom, idTo));
    const mark = profileId === '' ? this.#mark(bytes.subarray(start, end), digest) : '';
    for (const { service, samples } of reader.services(labels.service)) {
      const { type } = reader;
      this.#writer.begin();
      let written = 0;
      for (const sample of samples) {
        reader.open(sample);
        this.#writer.sample(reader.stack, reader.labels, reader.link, reader.value * type.scale);
        this.#checkBytes(this.#writer.size);
        if (++written % 1_024 === 0) yield;
      }
      const { timeNanos, durationNanos } = reader;
      const payload = this.#writer.finish({ type, timeNanos, durationNanos, mark });
      const all: Label[] = [['__name__', type.name], ...labels.labels(service)];
      this.#bytes += payload.byteLength + PUSH_BYTES;
      for (const [name, value] of all) this.#bytes += name.length + value.length;
      this.#checkBytes(0);
      if (this.#pushes.length >= this.#limits.otlpProfilesMax) {
        const found = `more than ${this.#limits.otlpProfilesMax}, by service`;
        throw new TephraError('profiles_limit', found);
      }
      this.#pushes.push({ profile, labels: all, profileId, payload });
    }
  }

  #checkBytes(more: number): void {
    const { bytesMax } = this.#options;
    if (this.#bytes + more <= bytesMax) return;
    const found = `profiles that share a dictionary take more than ${bytesMax} bytes without it`;
    throw new TephraError('decompressed_size', `${found}: send fewer in a request`);
  }

  /**
   * What tells a profile without an id from others that look the same where it is stored, such as one of
   * another process: a digest of its own bytes, of its resource and its scope.
   */
  #mark(profile: Uint8Array, origin: Uint8Array): string {
    const digest = createHash('sha256').update(origin).update(profile).digest();
    const mark = hex(digest.subarray(0, 16));
    const twins = this.#twins.get(mark) ?? 0;
    this.#twins.set(mark, twins + 1);
    return twins === 0 ? `otlp:${mark}` : `otlp:${mark}:${twins}`;
  }
}
