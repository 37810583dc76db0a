import { toBinary } from '@bufbuild/protobuf';
import { type Profile, ProfileSchema } from '../gen/google/v1/profile_pb.ts';
import type {
  FlameGraph as FlameGraphMessage,
  FlameGraphDiff as FlameGraphDiffMessage,
} from '../gen/querier/v1/querier_pb.ts';
import type { DiffResponse, MergeResponse, SeriesResponse } from '../gen/tephra/v1/query_pb.ts';
import type { Label } from '../gen/tephra/v1/label_pb.ts';
import { decodeTree, type CallNode } from './call-tree.ts';
import { badAnswer } from './error.ts';
import { answerOf, type Answer } from './exactness.ts';

/**
 * Levels of bars, the root first. Of each bar four numbers: offset from the end of the bar before,
 * total, self, index of its name.
 */
export interface FlameGraph {
  readonly names: readonly string[];
  readonly levels: readonly (readonly bigint[])[];
  readonly total: bigint;
  readonly maxSelf: bigint;
}

/** A merge as a flame graph. */
export interface FlameGraphAnswer extends Answer {
  readonly flameGraph: FlameGraph;
}

/** A merge as a tree of function names. */
export interface TreeAnswer extends Answer {
  readonly root: CallNode;
}

/** A merge as a Graphviz graph. */
export interface DotAnswer extends Answer {
  readonly dot: string;
}

/** A merge as pprof. */
export interface PprofAnswer extends Answer {
  readonly profile: Profile;
  /** Bytes of the profile, not compressed. */
  toBytes(): Uint8Array;
}

/** A part of a tree by function names: columns by node. */
export interface NodeChunk {
  /** Index of the first node of this chunk; node 0 is the root. */
  readonly firstNode: number;
  /** Names that are new; they continue the list of the chunks before. */
  readonly names: readonly string[];
  /** The parent, which came before. */
  readonly parent: readonly number[];
  /** Index into all names so far. */
  readonly name: readonly number[];
  readonly self: readonly bigint[];
  readonly total: readonly bigint[];
}

/** A merge in chunks of nodes. */
export interface NodesAnswer extends Answer {
  readonly nodeCount: number;
  /** Each chunk is fetched when the one before was taken. May be read once. */
  readonly chunks: AsyncIterable<NodeChunk>;
}

/**
 * Two merges laid over each other: levels of bars, of each seven numbers: offset, total, self of the
 * baseline; offset, total, self of the comparison; index of the name.
 */
export interface DiffFlameGraph extends FlameGraph {
  readonly leftTotal: bigint;
  readonly rightTotal: bigint;
}

/** Two merges laid over each other. */
export interface DiffAnswer extends Answer {
  readonly flameGraph: DiffFlameGraph;
}

/** Sums over time. */
export interface SeriesAnswer extends Answer {
  readonly lines: readonly {
    readonly labels: Readonly<Record<string, string>>;
    readonly points: readonly SeriesPoint[];
  }[];
}

/** The sum of one step. */
export interface SeriesPoint {
  readonly timeMs: number;
  readonly sum: bigint;
  readonly profiles: number;
  readonly mean: number;
  readonly exemplar?: {
    readonly timeMs: number;
    readonly profileId: string;
    readonly value: bigint;
    readonly labels: Readonly<Record<string, string>>;
  };
}

/** The functions that cost most. */
export interface TopAnswer extends Answer {
  readonly functions: readonly {
    readonly name: string;
    readonly self: bigint;
    readonly total: bigint;
  }[];
  /** Functions in all. */
  readonly functionCount: number;
  /** Own value of those that are not in the answer. */
  readonly restSelf: bigint;
}

/** Names or values of labels. */
export interface LabelsAnswer extends Answer {
  readonly names: readonly string[];
}

/** Whether there is data, and from when to when. */
export interface Stats {
  readonly hasProfiles: boolean;
  readonly oldestMs: number;
  readonly newestMs: number;
}

/** See {@link FlameGraphAnswer}. */
export function flameGraphAnswer(message: MergeResponse): FlameGraphAnswer {
  return { flameGraph: flameGraphOf(message.flamegraph), ...answerOf(message) };
}

/** See {@link TreeAnswer}. */
export function treeAnswer(message: MergeResponse): TreeAnswer {
  return { root: decodeTree(message.tree), ...answerOf(message) };
}

/** See {@link PprofAnswer}. */
export function pprofAnswer(message: MergeResponse): PprofAnswer {
  const profile = message.pprof?.profile;
  if (profile === undefined) throw badAnswer('no profile');
  return { profile, toBytes: () => toBinary(ProfileSchema, profile), ...answerOf(message) };
}

/** See {@link DiffAnswer}. */
export function diffAnswer(message: DiffResponse): DiffAnswer {
  return { flameGraph: diffFlameGraphOf(message.flamegraph), ...answerOf(message) };
}

/** A flame graph of the wire; one that a server left out has no levels. */
export function flameGraphOf(graph: FlameGraphMessage | undefined): FlameGraph {
  const { names = [], levels = [], total = 0n, maxSelf = 0n } = graph ?? {};
  return { names, levels: levels.map(({ values }) => values), total, maxSelf };
}

/** The same of a diff. */
export function diffFlameGraphOf(graph: FlameGraphDiffMessage | undefined): DiffFlameGraph {
  const { names = [], levels = [], total = 0n, maxSelf = 0n } = graph ?? {};
  const { leftTicks: leftTotal = 0n, rightTicks: rightTotal = 0n } = graph ?? {};
  return {
    names,
    levels: levels.map(({ values }) => values),
    total,
    maxSelf,
    leftTotal,
    rightTotal,
  };
}

/** See {@link SeriesAnswer}. */
export function seriesAnswer(message: SeriesResponse): SeriesAnswer {
  const lines = message.lines.map(({ labels, points }) => ({
    labels: labelsOf(labels),
    points: points.map(({ timeMs, sum, profiles, mean, exemplar }) => ({
      timeMs: Number(timeMs),
      sum,
      profiles: Number(profiles),
      mean,
      ...(exemplar === undefined
        ? {}
        : {
            exemplar: {
              timeMs: Number(exemplar.timeMs),
              profileId: exemplar.profileId,
              value: exemplar.value,
              labels: labelsOf(exemplar.labels),
            },
          }),
    })),
  }));
  return { lines, ...answerOf(message) };
}

/** Labels as a record. */
export function labelsOf(
  labels: readonly Pick<Label, 'name' | 'value'>[],
): Readonly<Record<string, string>> {
  return Object.fromEntries(labels.map(({ name, value }) => [name, value]));
}
