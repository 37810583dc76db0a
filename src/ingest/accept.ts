import { TephraError } from '../base/errors.ts';
import { release } from '../base/release.ts';
import { NANOS_PER_MS } from '../base/time.ts';
import type { ProfileColumns } from '../profile/columns.ts';
import { FoldedReader } from '../profile/folded/read.ts';
import { nameOfPprof, seriesName, textProfileType } from '../profile/ingest-naming.ts';
import { labelValue, validateLabels } from '../profile/labels.ts';
import type { LabelSet } from '../profile/labels.ts';
import { inflatePayload } from '../profile/pprof/inflate.ts';
import { PlainReader } from '../profile/plain/read.ts';
import { PprofReader } from '../profile/pprof/read.ts';
import { typePart, type ProfileType } from '../profile/profile-type.ts';
import { splitByLabels } from '../profile/sample-labels.ts';
import type { Dictionary } from '../storage/dictionary/dictionary.ts';
import { assemble } from './assemble.ts';
import type { Assembled } from './assemble.ts';
import { clientId } from './identity.ts';
import type { PushItem } from './push.ts';
import { StackResolver } from './resolve.ts';
import { checkWindow, type WindowRules } from './window.ts';

/** Which profiles are accepted. */
export interface AcceptRules extends WindowRules {
  /** Bytes of a profile after decompression. */
  readonly profileBytesMax: number;
}

/** A push that is fit to be stored; its columns are still in the reader's scratch. */
export interface Accepted {
  readonly service: string;
  /** Series labels without `__name__`. */
  readonly labels: LabelSet;
  /** Start in Unix ms: the client's `from`, else the body's time, else the arrival. */
  readonly startMs: number;
  readonly durationMs: number;
  /** The start as the client gave it, or undefined. */
  readonly clientTimeMs: number | undefined;
  /** The client gave an id or a time: the same push can be told from another. */
  readonly hasIdentity: boolean;
  readonly types: readonly ProfileType[];
}

/** Pushes ready for the writer. */
export interface Draft extends Assembled {
  /** Sets of sample labels beyond the limit, kept without their labels. */
  readonly labelSetsFolded: number;
}

/**
 * Decodes and checks pushes. One instance serves a thread: the readers' scratch is used again for
 * every profile, so `assemble` decodes once more if another push was decoded since `accept`, or if this
 * one was assembled before.
 */
export class Acceptor {
  readonly #rules: AcceptRules;
  readonly #pprof = new PprofReader();
  readonly #folded = new FoldedReader();
  readonly #plain = new PlainReader();
  readonly #resolver = new StackResolver();
  #decoded: Decoded | undefined;

  constructor(rules: AcceptRules) {
    this.#rules = rules;
  }

  /** Throws a TephraError that says why a push is refused. */
  accept(item: PushItem): Accepted {
    const labels = validateLabels(item.labels, item.surface === 'ingest' ? 'ingest' : 'push');
    const columns = this.#decode(item);
    const name = this.#nameOf(item, labels, columns);
    if (columns.sampleCount === 0) {
      throw new TephraError('empty_profile', 'expected at least one sample, found none');
    }
    const { periodType } = columns;
    const types = columns.sampleTypes.map(({ type, unit }) => {
      if (item.surface !== 'ingest' && item.surface !== 'otlp' && type.includes('-')) {
        throw new TephraError('malformed_profile', `sample type ${JSON.stringify(type)} has a "-"`);
      }
      return {
        name: typePart(item.surface === 'ingest' ? seriesName(name, type) : name),
        type: typePart(type),
        unit: typePart(unit),
        periodType: typePart(periodType.type),
        periodUnit: typePart(periodType.unit),
      };
    });
    const bodyMs = columns.timeNanos > 0n ? Number(columns.timeNanos / NANOS_PER_MS) : undefined;
    const clientTimeMs = item.fromMs ?? bodyMs;
    const startMs = Math.floor(clientTimeMs ?? item.arrivalMs);
    checkWindow(this.#rules, startMs, item.arrivalMs);
    return {
      service: labelValue(labels, 'service_name') ?? '',
      labels: labels.filter(([label]) => label !== '__name__'),
      startMs,
      durationMs: durationOf(item, columns),
      clientTimeMs: clientTimeMs === undefined ? undefined : startMs,
      hasIdentity: clientTimeMs !== undefined || clientId(item) !== '',
      types,
    };
  }

  /** Resolves an accepted push against the dictionary of its scope. */
  assemble(
    item: PushItem,
    accepted: Accepted,
    dictionary: Dictionary,
    identity: Uint8Array,
  ): Draft {
    const columns = this.#decode(item);
    const stacks = this.#resolver.resolve(columns, dictionary);
    const split = splitByLabels(columns);
    const assembled = assemble({
      columns,
      stacks,
      split,
      dictionary,
      labels: accepted.labels,
      types: accepted.types,
      key: accepted.hasIdentity ? identity : NO_IDENTITY,
      profileId: item.profileId,
      startMs: accepted.startMs,
      durationMs: accepted.durationMs,
    });
    this.#close();
    return { ...assembled, labelSetsFolded: split.foldedSets };
  }

  #decode(item: PushItem): ProfileColumns {
    if (this.#decoded?.item === item) return this.#decoded.columns;
    this.#close();
    const payload = inflatePayload(item.payload, this.#rules.profileBytesMax);
    const columns = this.#read(item, payload);
    this.#decoded = { item, payload, columns };
    return columns;
  }

  /** Gives back what was inflated; the columns that read it mean nothing from here on. */
  #close(): void {
    if (this.#decoded === undefined) return;
    const { item, payload } = this.#decoded;
    this.#decoded = undefined;
    if (payload.buffer !== item.payload.buffer) release(payload);
  }

  #read(item: PushItem, payload: Uint8Array): ProfileColumns {
    if (item.format === 'pprof') return this.#pprof.read(payload);
    return item.format === 'plain' ? this.#plain.read(payload) : this.#readText(item, payload);
  }

  #readText(item: PushItem, payload: Uint8Array): ProfileColumns {
    const text = textProfileType(item.appName ?? '', item.sampleRateHz);
    const format = item.format === 'lines' ? 'lines' : 'folded';
    return this.#folded.read(payload, { ...text, format });
  }

  #nameOf(item: PushItem, labels: LabelSet, columns: ProfileColumns): string {
    const given = labelValue(labels, '__name__');
    if (given !== undefined) return given;
    if (item.format === 'folded' || item.format === 'lines') {
      return textProfileType(item.appName ?? '', item.sampleRateHz).name;
    }
    return nameOfPprof(columns.sampleTypes, item.displayNames);
  }
}

/** The push decoded last. */
interface Decoded {
  readonly item: PushItem;
  /** Inflated; the item's own where it was plain. */
  readonly payload: Uint8Array;
  readonly columns: ProfileColumns;
}

const NO_IDENTITY = new Uint8Array(16);

function durationOf(item: PushItem, columns: ProfileColumns): number {
  if (item.fromMs !== undefined && item.untilMs !== undefined) {
    return Math.max(0, Math.floor(item.untilMs - item.fromMs));
  }
  return Number(columns.durationNanos / NANOS_PER_MS);
}
