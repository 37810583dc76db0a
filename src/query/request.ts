/** What the engine is asked, and what it answers; plain objects that may cross a thread. */
import { addLosses, NO_LOSSES, type LossNotes } from './losses.ts';

/** A question whose asker may lose interest. */
export interface Cancelable {
  /** Fires, with a TephraError as its reason, when nobody waits for the answer any more. */
  readonly signal?: AbortSignal | undefined;
}

/** Which data: a tenant, a selector and a range. */
export interface Selection extends Cancelable {
  readonly tenant: string;
  /** PromQL vector selector: `{service_name="shop"}`; `{}` is everything. */
  readonly selector: string;
  /** Unix ms, inclusive. */
  readonly startMs: number;
  /** Unix ms, inclusive. */
  readonly endMs: number;
}

/** What narrows a merge beyond its selector; all of them hold together. */
export interface Narrowing {
  /** Function names, root first: only stacks that begin with exactly these. Empty = all. */
  readonly callSite?: readonly string[] | undefined;
  /** Ids of single profiles as {@link QueryNotes} and exemplars show them. Empty = all. */
  readonly profileIds?: readonly string[] | undefined;
  /** 16 lower-case hex digits each: only samples of these spans. Empty = all. */
  readonly spanIds?: readonly string[] | undefined;
  /** 32 lower-case hex digits each: only samples of these traces. Empty = all. */
  readonly traceIds?: readonly string[] | undefined;
}

/** How the stacks of a profile for Go's profile-guided optimisation are shaped. */
export interface GoPgoShape {
  /** Locations that are kept, from the leaf; 0 = all. */
  readonly keepLocations: number;
  /** Clear the line of the leaf, so that all samples of a callee add up. */
  readonly aggregateCallees: boolean;
}

/** A merge of all matching profiles of one type. */
export interface MergeRequest extends Selection, Narrowing {
  /** Five-part profile type id. */
  readonly profileType: string;
  /** Node budget of flame graph and diff; undefined = LIMITS.flameGraphNodesDefault. */
  readonly maxNodes?: number | undefined;
  /** Fields of the messages that a pprof answer lies in, the outermost first; none = it is bare. */
  readonly within?: readonly number[] | undefined;
  /** Only for pprof. */
  readonly goPgo?: GoPgoShape | undefined;
  /** Count instants, for a mean over time: {@link QueryNotes.instants}. */
  readonly countInstants?: boolean | undefined;
}

/** In which form a merge by function names is encoded; by `maxNodes` nodes at most. */
export type TreeForm =
  /** Field `tree` of a `querier.v1.SelectMergeStacktracesResponse`. */
  | { readonly kind: 'tree'; readonly maxNodes: number }
  /** Field `dot` of the same. */
  | { readonly kind: 'dot'; readonly maxNodes: number }
  /** A `tephra.v1.TopFunctionsResponse` with at most `limit` functions. */
  | { readonly kind: 'top'; readonly limit: number };

/** Two merges to compare. */
export interface DiffRequest {
  readonly left: MergeRequest;
  readonly right: MergeRequest;
}

/** A timeline: the point at t sums the profiles that start in (t - step, t]. */
export interface SeriesRequest extends Selection {
  readonly profileType: string;
  readonly stepMs: number;
  /** Label names; empty = one series without labels. */
  readonly groupBy: readonly string[];
  readonly aggregation: 'sum' | 'average';
  /** Keep the N series with the largest sum. */
  readonly limit?: number | undefined;
  /** Function names, root first: only the value of stacks that begin with exactly these. */
  readonly callSite?: readonly string[] | undefined;
  /** Give each point the profile with the largest value that is still in the raw tier. */
  readonly exemplars?: boolean | undefined;
  /** Count single values instead of adding them up. */
  readonly heat?: HeatShape | undefined;
}

/** What a heat map counts. */
export interface HeatShape {
  /** Totals of profiles, or of the spans of each profile, which only the raw tier knows. */
  readonly of: 'profiles' | 'spans';
  /** Between which values; undefined = they are not known yet. */
  readonly edges?: HeatEdges | undefined;
}

/** The smallest and the largest value of a heat map. */
export interface HeatEdges {
  readonly min: bigint;
  readonly max: bigint;
}

/** Which profiles there are. */
export interface ProfileStats {
  readonly hasProfiles: boolean;
  /** Starts of the oldest and the newest, Unix ms, to the minute; 0 if there is none. */
  readonly oldestMs: number;
  readonly newestMs: number;
}

/** What a query would have to read, of one tier. */
export interface TierCost {
  /** Blocks, or fragments not absorbed yet. */
  readonly blocks: number;
  readonly series: number;
  readonly profiles: number;
  /** Stack entries of all profiles, where they are counted; else 0. */
  readonly indexBytes: number;
  readonly columnBytes: number;
  readonly symbolBytes: number;
}

/** What a query would have to read. */
export interface QueryCost {
  readonly minutes: TierCost;
  readonly raw: TierCost;
  /** Shards with data of it. */
  readonly shards: number;
}

/** A question about labels; several selectors are OR-ed, none = everything. */
export interface LabelsRequest extends Cancelable {
  readonly tenant: string;
  readonly selectors: readonly string[];
  readonly startMs: number;
  readonly endMs: number;
}

/**
 * What an answer left out or could not do exactly: the exactness record. Values are in the unit of
 * the profile type.
 */
export interface QueryNotes extends LossNotes {
  /** Value of the answer's root, saturated at 2^63 - 1. */
  readonly total: bigint;
  /** Profiles that were merged: one for each push and set of sample labels. */
  readonly profiles: number;
  /** Minutes at an edge that were counted whole because their pushes are no longer in the raw tier. */
  readonly wholeMinutes: number;
  /** Value of such minutes that is in the answer although it lies outside of the range ... */
  readonly edgeAddedValue: bigint;
  /** ... and that is not in the answer although it lies within. */
  readonly edgeDroppedValue: bigint;
  /** Stacks whose dictionary could not be read: their values are under `(damaged)`. */
  readonly damagedStacks: number;
  /** Sections of blocks that fail their checksum. */
  readonly damagedSections: number;
  /** Minutes in them of which not even the totals can be told: their value is missing. */
  readonly lostMinutes: number;
  /** Value under `(damaged)`. */
  readonly damagedValue: bigint;
  /** Value of stacks that were cut at the root when they came in, under `(truncated)`. */
  readonly truncatedValue: bigint;
  /** Value in nodes `other`, folded for the node budget. */
  readonly foldedValue: bigint;
  /** Value of samples whose labels were cut, because their push had too many sets of them. */
  readonly cutLabelsValue: bigint;
  /** Profiles that a profile, span or trace id could not be looked up in: no longer in the raw tier. */
  readonly unreadProfiles: number;
  /** Totals passed int64 and were cut. */
  readonly saturated: boolean;
  /**
   * Instants at which the series were sampled, 0 unless asked for: the largest number of profiles of
   * one series in each 5 minutes, summed. The total divided by it is the mean over time.
   */
  readonly instants: number;
  /** Blocks and bytes that were read. */
  readonly blocksRead: number;
  readonly bytesRead: number;
}

/** Notes of an answer that needed nothing. */
export const NO_NOTES: QueryNotes = {
  ...NO_LOSSES,
  total: 0n,
  profiles: 0,
  wholeMinutes: 0,
  edgeAddedValue: 0n,
  edgeDroppedValue: 0n,
  damagedStacks: 0,
  damagedSections: 0,
  lostMinutes: 0,
  damagedValue: 0n,
  truncatedValue: 0n,
  foldedValue: 0n,
  cutLabelsValue: 0n,
  unreadProfiles: 0,
  saturated: false,
  instants: 0,
  blocksRead: 0,
  bytesRead: 0,
};

/** Notes of two parts of one answer. */
export function addNotes(a: QueryNotes, b: QueryNotes): QueryNotes {
  return {
    ...addLosses(a, b),
    total: a.total + b.total,
    profiles: a.profiles + b.profiles,
    wholeMinutes: a.wholeMinutes + b.wholeMinutes,
    edgeAddedValue: a.edgeAddedValue + b.edgeAddedValue,
    edgeDroppedValue: a.edgeDroppedValue + b.edgeDroppedValue,
    damagedStacks: a.damagedStacks + b.damagedStacks,
    damagedSections: a.damagedSections + b.damagedSections,
    lostMinutes: a.lostMinutes + b.lostMinutes,
    damagedValue: a.damagedValue + b.damagedValue,
    truncatedValue: a.truncatedValue + b.truncatedValue,
    foldedValue: a.foldedValue + b.foldedValue,
    cutLabelsValue: a.cutLabelsValue + b.cutLabelsValue,
    unreadProfiles: a.unreadProfiles + b.unreadProfiles,
    saturated: a.saturated || b.saturated,
    instants: a.instants + b.instants,
    blocksRead: a.blocksRead + b.blocksRead,
    bytesRead: a.bytesRead + b.bytesRead,
  };
}

/** Told what an answer is lacking; also called for an answer that lacks nothing. */
export type LossSink = (losses: LossNotes) => void;

/** Told everything that an answer says about itself. */
export type NotesSink = (notes: QueryNotes) => void;

/** A protobuf message that a worker has encoded already. */
export interface EncodedAnswer {
  /** The message; of one that is too large for memory, its end. */
  readonly bytes: Uint8Array;
  /** What comes before `bytes` of a message that is too large for memory. Whoever has it closes it. */
  readonly front?: AnswerFront | undefined;
  readonly notes: QueryNotes;
}

/** Bytes of an answer on disk. */
export interface AnswerFront {
  readonly byteLength: number;
  /** Fills `into` from `offset` on; resolves to how many bytes there were. Rejects `canceled` once closed. */
  read(offset: number, into: Uint8Array): Promise<number>;
  /** Gives its room back. Idempotent. */
  close(): void;
}

/** One line of a timeline. */
export interface SeriesAnswer {
  /** The grouped labels only, sorted by name. */
  readonly labels: readonly (readonly [name: string, value: string])[];
  /** Ascending by time; steps without a profile are left out. */
  readonly points: readonly SeriesPoint[];
}

/** A point of a timeline. */
export interface SeriesPoint {
  readonly timestampMs: number;
  /** Sum or average as a double. */
  readonly value: number;
  /** The exact sum. */
  readonly sum?: bigint | undefined;
  /** Profiles behind it. */
  readonly profiles?: number | undefined;
  readonly exemplar?: Exemplar | undefined;
}

/** One group of a heat map. */
export interface HeatAnswer {
  /** The grouped labels only, sorted by name. */
  readonly labels: readonly (readonly [name: string, value: string])[];
  /** Ascending by time; steps without a value are left out. */
  readonly slots: readonly HeatSlot[];
}

/** The values of one step, as in {@link SeriesRequest}. */
export interface HeatSlot {
  readonly timestampMs: number;
  /** Lower ends of the buckets, the same in all slots of an answer. */
  readonly bounds: readonly number[];
  /** Values in each. */
  readonly counts: readonly number[];
  /** At most one a bucket. */
  readonly exemplars: readonly Exemplar[];
}

/** One profile behind a point. */
export interface Exemplar {
  readonly timestampMs: number;
  readonly profileId: string;
  readonly value: bigint;
  /** Labels of its series that are not grouped by, sorted by name. */
  readonly labels: readonly (readonly [name: string, value: string])[];
  /** The span that the value is of, if it is one's; 16 hex digits. */
  readonly spanId?: string | undefined;
  /** Its trace, 32 hex digits or ''. */
  readonly traceId?: string | undefined;
}
