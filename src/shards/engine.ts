import type { PushItem, PushOutcome } from '../ingest/push.ts';
import type { Label } from '../profile/labels.ts';
import type {
  DiffRequest,
  EncodedAnswer,
  LabelsRequest,
  MergeRequest,
  SeriesAnswer,
  SeriesRequest,
} from '../query/request.ts';

/**
 * The engine as the port and the command line see it. Every method rejects with a `TephraError`.
 * Behind it are the shards, in worker threads or inline.
 */
export interface Engine {
  /**
   * Stores profiles: one outcome an item, in order. Resolves when every accepted item is durable
   * and visible to the next query; a refused item does not keep the others from being stored. Rejects as
   * a whole only when the engine is stopping.
   */
  push(items: readonly PushItem[]): Promise<readonly PushOutcome[]>;

  /** Five-part ids of the profile types with data in the range, sorted. */
  profileTypes(request: LabelsRequest): Promise<readonly string[]>;
  /** Label names (internal ones too), sorted. */
  labelNames(request: LabelsRequest): Promise<readonly string[]>;
  /** Values of one label, sorted. */
  labelValues(request: LabelsRequest, name: string): Promise<readonly string[]>;
  /** Distinct projections of matching label sets on `names` (empty = all labels), sorted. */
  series(request: LabelsRequest, names: readonly string[]): Promise<readonly (readonly Label[])[]>;

  /** Timeline by group. */
  selectSeries(request: SeriesRequest): Promise<readonly SeriesAnswer[]>;
  /** A `querier.v1.SelectMergeStacktracesResponse` with the flame graph. */
  flameGraph(request: MergeRequest): Promise<EncodedAnswer>;
  /** A `google.v1.Profile` with full frames. */
  pprof(request: MergeRequest): Promise<EncodedAnswer>;
  /** A `querier.v1.DiffResponse`. */
  diff(request: DiffRequest): Promise<EncodedAnswer>;

  /** Runs the jobs that are due at `nowMs` (absorb, roll, removal, retention) and waits for them. */
  runJobs(nowMs: number): Promise<void>;

  /** Finishes what was accepted, then ends the workers. The store stays open. */
  stop(): Promise<void>;
}
