import type { PushItem, PushOutcome } from '../ingest/push.ts';
import type {
  StreamBundle,
  StreamOpened,
  StreamOpening,
  StreamTaken,
} from '../ingest/stream/messages.ts';
import type { Label } from '../profile/labels.ts';
import type { OtlpSplit, OtlpSplitOptions } from '../profile/otlp/split.ts';
import type {
  DiffRequest,
  EncodedAnswer,
  HeatAnswer,
  HeatShape,
  LabelsRequest,
  MergeRequest,
  LossSink,
  NotesSink,
  ProfileStats,
  QueryCost,
  QueryNotes,
  Selection,
  SeriesAnswer,
  SeriesRequest,
  TreeForm,
} from '../query/request.ts';

/**
 * The engine as the port and the command line see it. Every method rejects with a `TephraError`.
 * Behind it are the shards, in worker threads or inline. What an answer lacks because stored data
 * are damaged goes to `losses`, or is in the answer's own notes.
 */
export interface Engine {
  /**
   * Stores profiles: one outcome an item, in order. Resolves when every accepted item is durable
   * and visible to the next query; a refused item does not keep the others from being stored. Rejects as
   * a whole only when the engine is stopping.
   */
  push(items: readonly PushItem[]): Promise<readonly PushOutcome[]>;

  /**
   * Splits an OTLP request into profiles that stand for themselves, in whichever host has its turn. Nothing is
   * stored: that is `push`, with what comes out. Rejects as `splitOtlp` of the profile layer throws.
   */
  splitOtlp(request: Uint8Array, options: OtlpSplitOptions): Promise<OtlpSplit>;

  /** The shard that owns a stream. */
  streamShard(tenant: string, labels: readonly Label[]): number;
  /** Labels of a stream as they are stored. Throws the reason of a label. */
  streamLabels(labels: readonly Label[]): readonly Label[];
  /** Begins a call of a stream at the owner of its shard; docs/protocol/stream.md. */
  openStream(shard: number, opening: StreamOpening): Promise<StreamOpened>;
  /**
   * Takes messages of calls in, whose bytes are given away and come back; one report a call, when all that they sent is
   * settled (durable and visible, or refused) or has failed.
   */
  takeStream(shard: number, bundle: StreamBundle): Promise<StreamTaken>;
  /** The call has ended. Never rejects. */
  closeStream(shard: number, call: number): Promise<void>;

  /** Five-part ids of the profile types with data in the range, sorted. */
  profileTypes(request: LabelsRequest, losses?: LossSink): Promise<readonly string[]>;
  /** Label names (internal ones too), sorted. */
  labelNames(request: LabelsRequest, losses?: LossSink): Promise<readonly string[]>;
  /** Values of one label, sorted. */
  labelValues(request: LabelsRequest, name: string, losses?: LossSink): Promise<readonly string[]>;
  /** Distinct projections of matching label sets on `names` (empty = all labels), sorted. */
  series(
    request: LabelsRequest,
    names: readonly string[],
    losses?: LossSink,
  ): Promise<readonly (readonly Label[])[]>;

  /** Timeline by group. */
  selectSeries(request: SeriesRequest, notes?: NotesSink): Promise<readonly SeriesAnswer[]>;
  /** Single values over time by group: a timeline with `heat`, whose edges are found here. */
  heatmap(
    request: SeriesRequest & { readonly heat: HeatShape },
    notes?: NotesSink,
  ): Promise<readonly HeatAnswer[]>;
  /** A `querier.v1.SelectMergeStacktracesResponse` with the flame graph. */
  flameGraph(request: MergeRequest): Promise<EncodedAnswer>;
  /** A `google.v1.Profile` with full frames. */
  pprof(request: MergeRequest): Promise<EncodedAnswer>;
  /** A merge by function names in another form. */
  tree(request: MergeRequest, form: TreeForm): Promise<EncodedAnswer>;
  /** A merge by function names in chunks, for trees that are large as one message. */
  nodes(request: MergeRequest): Promise<NodeStream>;
  /** A `querier.v1.DiffResponse`. */
  diff(request: DiffRequest): Promise<EncodedAnswer>;

  /** When the oldest and the newest profile of a tenant begin. */
  profileStats(tenant: string): Promise<ProfileStats>;
  /** What a query would have to read; of one type, or of all. */
  queryCost(request: Selection & { readonly profileType: string | undefined }): Promise<QueryCost>;

  /** Runs the jobs that are due at `nowMs` (absorb, roll, removal, retention) and waits for them. */
  runJobs(nowMs: number): Promise<void>;

  /** Finishes what was accepted, then ends the workers. The store stays open. */
  stop(): Promise<void>;
}

/** A merged tree in chunks. */
export interface NodeStream {
  /** Nodes in all. */
  readonly nodes: number;
  readonly notes: QueryNotes;
  /**
   * `tephra.v1.MergeStreamResponse` messages, each made when it is asked for. Must be read to its end or
   * returned, once.
   */
  readonly chunks: AsyncIterable<Uint8Array>;
}
