/** What the engine is asked, and what it answers; plain objects that may cross a thread. */

/** Which data: a tenant, a selector and a range. */
export interface Selection {
  readonly tenant: string;
  /** PromQL vector selector: `{service_name="shop"}`; `{}` is everything. */
  readonly selector: string;
  /** Unix ms, inclusive. */
  readonly startMs: number;
  /** Unix ms, inclusive. */
  readonly endMs: number;
}

/** A merge of all matching profiles of one type. */
export interface MergeRequest extends Selection {
  /** Five-part profile type id. */
  readonly profileType: string;
  /** Node budget of flame graph and diff; undefined = LIMITS.flameGraphNodesDefault. */
  readonly maxNodes?: number | undefined;
}

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
}

/** A question about labels; several selectors are OR-ed, none = everything. */
export interface LabelsRequest {
  readonly tenant: string;
  readonly selectors: readonly string[];
  readonly startMs: number;
  readonly endMs: number;
}

/** What an answer left out or could not do exactly; all false and zero for an exact one. */
export interface QueryNotes {
  /** Minutes at an edge that were counted whole because their pushes are no longer in the raw tier. */
  readonly wholeMinutes: number;
  /** Stacks whose dictionary could not be read: their values are under `(damaged)`. */
  readonly damagedStacks: number;
  /** Totals passed int64 and were cut. */
  readonly saturated: boolean;
  /** Blocks and bytes that were read. */
  readonly blocksRead: number;
  readonly bytesRead: number;
}

/** Notes of an answer that needed nothing. */
export const NO_NOTES: QueryNotes = {
  wholeMinutes: 0,
  damagedStacks: 0,
  saturated: false,
  blocksRead: 0,
  bytesRead: 0,
};

/** Notes of two parts of one answer. */
export function addNotes(a: QueryNotes, b: QueryNotes): QueryNotes {
  return {
    wholeMinutes: a.wholeMinutes + b.wholeMinutes,
    damagedStacks: a.damagedStacks + b.damagedStacks,
    saturated: a.saturated || b.saturated,
    blocksRead: a.blocksRead + b.blocksRead,
    bytesRead: a.bytesRead + b.bytesRead,
  };
}

/** A protobuf message that a worker has encoded already. */
export interface EncodedAnswer {
  readonly bytes: Uint8Array;
  readonly notes: QueryNotes;
}

/** One line of a timeline. */
export interface SeriesAnswer {
  /** The grouped labels only, sorted by name. */
  readonly labels: readonly (readonly [name: string, value: string])[];
  /** Ascending by time; steps without a profile are left out. */
  readonly points: readonly { readonly timestampMs: number; readonly value: number }[];
}
