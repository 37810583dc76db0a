import type { Clock, Timers } from '../base/clock.ts';
import type { LIMITS } from '../base/limits.ts';
import type { Random } from '../base/random.ts';
import type { PushItem, PushOutcome } from '../ingest/push.ts';
import type {
  StreamBundle,
  StreamOpened,
  StreamOpening,
  StreamTaken,
} from '../ingest/stream/messages.ts';
import type { OtlpSplit, OtlpSplitOptions } from '../profile/otlp/split.ts';
import type { LabelPart } from '../query/execute/label-rows.ts';
import type {
  Cancelable,
  LabelsRequest,
  MergeRequest,
  ProfileStats,
  QueryCost,
  QueryNotes,
  SeriesRequest,
  TreeForm,
} from '../query/request.ts';
import type { CostRequest } from '../query/execute/cost.ts';
import type { InstantCounts } from '../query/execute/instants.ts';
import type { SeriesPart } from '../query/series/part.ts';
import type { FrameTree } from '../query/tree/frame-tree.ts';
import type { NameTree, SidedTree } from '../query/tree/name-tree.ts';
import type { BlobStore } from '../storage/blob-store/contract.ts';
import type { ScratchWriter } from '../storage/scratch/scratch.ts';
import type { SpilledFront } from './answer-spill.ts';

/** All limits with their values in force; see src/base/limits.ts for units and reasons. */
export type Limits = { readonly [Name in keyof typeof LIMITS]: number };

/** What a shard host is made with. */
export interface ShardHostOptions {
  readonly store: BlobStore;
  /** For answers that are too large for memory. */
  readonly scratch: ScratchWriter;
  /** The shards that this host owns; no other host has any of them. */
  readonly shards: readonly number[];
  /** Shards in all; part of the names of roots. */
  readonly shardCount: number;
  /** Never used before by any host over this store: fragments are numbered within it. */
  readonly incarnation: number;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  /** The budgets of memory in it are this host's own share. */
  readonly limits: Limits;
  /** Bytes in arguments are the host's alone, as where they came by message: it may free them. */
  readonly ownsArguments?: boolean;
}

/**
 * The code that owns some shards: decodes, commits, absorbs, merges, encodes. It runs in a worker
 * thread or inline. Arguments and results are plain data; every method rejects with a TephraError.
 *
 * What the `merge…` methods, the `finish…` methods, `splitOtlp` and `takeStream` return is given away: the host keeps no
 * reference to it. What the `finish…` methods receive is theirs to change.
 */
export interface ShardHostApi {
  /** Rebuilds the heads and the duplicate memory of its shards. Before anything else, once. */
  open(nowMs: number): Promise<void>;
  /** One outcome an item, in order; resolves when what was accepted is durable and visible. */
  push(shard: number, items: readonly PushItem[]): Promise<readonly PushOutcome[]>;
  /** Splits an OTLP request into profiles that stand for themselves, of any shard. */
  splitOtlp(request: Uint8Array, options: OtlpSplitOptions): Promise<OtlpSplit>;
  /** Begins a call of a stream. */
  openStream(shard: number, opening: StreamOpening): Promise<StreamOpened>;
  /**
   * Takes messages of calls in; one report a call, when all that they sent is settled or has failed. The
   * bytes come back.
   */
  takeStream(shard: number, bundle: StreamBundle): Promise<StreamTaken>;
  /** The call has ended; no error if it is not open. */
  closeStream(shard: number, call: number): Promise<void>;
  /** The distinct series that match. */
  labelRows(shards: readonly number[], request: LabelsRequest): Promise<LabelPart>;
  /** What these shards have for a timeline. */
  seriesParts(shards: readonly number[], request: SeriesRequest): Promise<SeriesPart>;
  /** The merged tree by function names. */
  mergeNames(shards: readonly number[], request: MergeRequest): Promise<NamePart>;
  /** Both sides of a diff as one tree by function names. */
  mergeSides(shards: readonly number[], sides: readonly MergeRequest[]): Promise<SidedPart>;
  /** The merged tree by full frames. */
  mergeFrames(shards: readonly number[], request: MergeRequest): Promise<FramePart>;
  /** Joins and encodes a `querier.v1.SelectMergeStacktracesResponse`. */
  finishFlameGraph(
    parts: readonly NamePart[],
    maxNodes: number,
    asked: Cancelable,
  ): Promise<HostAnswer>;
  /** Joins and encodes a tree in another form. */
  finishTree(parts: readonly NamePart[], form: TreeForm, asked: Cancelable): Promise<HostAnswer>;
  /** Joins a tree and keeps it, to be read in chunks. Rejects with `too_many_queries`. */
  openNodes(parts: readonly NamePart[], maxNodes: number, asked: Cancelable): Promise<OpenNodes>;
  /** The next `tephra.v1.MergeStreamResponse` of an open tree; null after the last. */
  readNodes(id: number): Promise<Uint8Array | null>;
  /** Forgets an open tree; no error if it is not there. */
  closeNodes(id: number): Promise<void>;
  /** When the oldest and newest profile of a tenant begin. */
  profileStats(shards: readonly number[], tenant: string): Promise<ProfileStats>;
  /** What a query would have to read. */
  queryCost(shards: readonly number[], request: CostRequest): Promise<QueryCost>;
  /** Joins and encodes a `querier.v1.DiffResponse`. */
  finishDiff(parts: readonly SidedPart[], maxNodes: number, asked: Cancelable): Promise<HostAnswer>;
  /** Joins and encodes a `google.v1.Profile`. */
  finishPprof(parts: readonly FramePart[], request: MergeRequest): Promise<HostAnswer>;
  /** Runs the jobs of its shards that are due. */
  runJobs(nowMs: number): Promise<void>;
  /**
   * Prepares volumes that are past their retention for removal. Resolves to those that a shard of
   * this host still needs; for the others nothing waits and nothing more will be written.
   */
  releaseVolumes(volumes: readonly string[]): Promise<readonly string[]>;
  /** Counters since it was made, by name. */
  counters(): Promise<Record<string, number>>;
  /** Finishes what was accepted. Nothing may be called afterwards. */
  stop(): Promise<void>;
}

/** One host's part of a merge by function names. */
export interface NamePart {
  readonly tree: NameTree;
  readonly notes: QueryNotes;
  /** For a mean over time; absent unless asked for. */
  readonly instants?: InstantCounts | undefined;
}

/** A message that a host has encoded. */
export interface HostAnswer {
  /** The message, or its end. */
  readonly bytes: Uint8Array;
  /** What comes before `bytes` of a message that is too large for memory; to be taken from the scratch. */
  readonly front: SpilledFront | undefined;
  readonly notes: QueryNotes;
}

/** One host's part of a diff. */
export interface SidedPart {
  readonly tree: SidedTree;
  /** Of both sides together. */
  readonly notes: QueryNotes;
}

/** A joined tree that is read in chunks. */
export interface OpenNodes {
  readonly id: number;
  /** Nodes in all. */
  readonly nodes: number;
  readonly notes: QueryNotes;
}

/** One host's part of a merge by full frames. */
export interface FramePart {
  readonly tree: FrameTree;
  readonly notes: QueryNotes;
  /** For a mean over time; absent unless asked for. */
  readonly instants?: InstantCounts | undefined;
}

/** Methods whose results a host gives away. */
export const GIVEN_RESULTS = [
  'splitOtlp',
  'takeStream',
  'mergeNames',
  'mergeSides',
  'mergeFrames',
  'finishFlameGraph',
  'finishTree',
  'finishDiff',
  'finishPprof',
  'readNodes',
] as const satisfies readonly (keyof ShardHostApi)[];

/** Methods whose arguments are given to a host. */
export const GIVEN_ARGUMENTS = [
  'takeStream',
  'finishFlameGraph',
  'finishTree',
  'openNodes',
  'finishDiff',
  'finishPprof',
] as const satisfies readonly (keyof ShardHostApi)[];

/** Methods of a scratch whose arguments and results are given away. */
export const GIVEN_SCRATCH = ['append'] as const satisfies readonly (keyof ScratchWriter)[];
