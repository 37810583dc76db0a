import { createClient, type CallOptions as RpcOptions, type Client } from '@connectrpc/connect';
import type { Transport } from '@connectrpc/connect';
import type { Clock } from '../base/clock.ts';
import type { Profile } from '../gen/google/v1/profile_pb.ts';
import { QuerierService } from '../gen/querier/v1/querier_pb.ts';
import {
  diffFlameGraphOf,
  flameGraphOf,
  labelsOf,
  type DiffFlameGraph,
  type FlameGraph,
  type Stats,
} from './answers.ts';
import { rpcOptions, type Caller, type CallOptions } from './caller.ts';
import {
  rangeMessage,
  type LabelsSelection,
  type NodeOptions,
  type Selection,
  type SeriesOptions,
} from './selection.ts';

/** Which profiles, as far as `querier.v1` can say it. */
export type QuerierSelection = Pick<Selection, 'profileType' | 'selector' | 'from' | 'to'>;

/** What an answer by `querier.v1` says of itself. */
export interface QuerierAnswer {
  /** Whether it is exact; undefined where the server does not say, as others than Tephra. */
  readonly exact: boolean | undefined;
  /** Why it is not: the record of docs/queries.md, as JSON. */
  readonly notes: string | undefined;
}

/** A merge as a flame graph; without levels where a server has nothing. */
export interface QuerierFlameGraph extends QuerierAnswer {
  readonly flameGraph: FlameGraph;
}

/** Two merges laid over each other; without levels where a server has nothing. */
export interface QuerierDiff extends QuerierAnswer {
  readonly flameGraph: DiffFlameGraph;
}

/** A merge as pprof. */
export interface QuerierProfile extends QuerierAnswer {
  readonly profile: Profile;
}

/** Sums over time; not more exact than a double. */
export interface QuerierSeries extends QuerierAnswer {
  readonly lines: readonly {
    readonly labels: Readonly<Record<string, string>>;
    readonly points: readonly { readonly timeMs: number; readonly value: number }[];
  }[];
}

/** Names or values of labels. */
export interface QuerierLabels extends QuerierAnswer {
  readonly names: readonly string[];
}

/**
 * The questions of `querier.v1`, which Pyroscope answers too: for programs that ask any such server.
 * Where the server is a Tephra, the methods of `TephraClient` say more. Every method throws
 * `TephraClientError` and nothing else.
 */
export class QuerierClient {
  readonly #rpc: Client<typeof QuerierService>;
  readonly #caller: Caller;
  readonly #clock: Clock;

  constructor(transport: Transport, caller: Caller, clock: Clock) {
    this.#rpc = createClient(QuerierService, transport);
    this.#caller = caller;
    this.#clock = clock;
  }

  /** A merge as a flame graph. */
  async flameGraph(
    selection: QuerierSelection,
    options: NodeOptions = {},
  ): Promise<QuerierFlameGraph> {
    const [{ flamegraph }, told] = await this.#ask(options, (rpc) =>
      this.#rpc.selectMergeStacktraces(this.#merge(selection, options), rpc),
    );
    return { flameGraph: flameGraphOf(flamegraph), ...told };
  }

  /** A merge as pprof, with full frames. */
  async pprof(selection: QuerierSelection, options: CallOptions = {}): Promise<QuerierProfile> {
    const [profile, told] = await this.#ask(options, (rpc) =>
      this.#rpc.selectMergeProfile(this.#merge(selection), rpc),
    );
    return { profile, ...told };
  }

  /** Two merges of one type compared; `left` is the baseline. */
  async diff(
    left: QuerierSelection,
    right: QuerierSelection,
    options: NodeOptions = {},
  ): Promise<QuerierDiff> {
    const [{ flamegraph }, told] = await this.#ask(options, (rpc) =>
      this.#rpc.diff({ left: this.#merge(left, options), right: this.#merge(right, options) }, rpc),
    );
    return { flameGraph: diffFlameGraphOf(flamegraph), ...told };
  }

  /** Sums over time, by group; the point at t covers (t - step, t]. */
  async series(
    selection: QuerierSelection,
    options: Omit<SeriesOptions, 'exemplars'>,
  ): Promise<QuerierSeries> {
    const { stepMs, groupBy = [], limit = 0 } = options;
    const [{ series }, told] = await this.#ask(options, (rpc) => {
      const request = {
        ...this.#merge(selection),
        groupBy: [...groupBy],
        step: stepMs / 1_000,
        ...(limit > 0 ? { limit: BigInt(limit) } : {}),
      };
      return this.#rpc.selectSeries(request, rpc);
    });
    const lines = series.map(({ labels, points }) => ({
      labels: labelsOf(labels),
      points: points.map(({ timestamp, value }) => ({ timeMs: Number(timestamp), value })),
    }));
    return { lines, ...told };
  }

  /** Names of the labels in use. */
  async labelNames(
    selection: LabelsSelection = {},
    options: CallOptions = {},
  ): Promise<QuerierLabels> {
    const [{ names }, told] = await this.#ask(options, (rpc) =>
      this.#rpc.labelNames(this.#matching(selection), rpc),
    );
    return { names, ...told };
  }

  /** Values of one label; those of `__profile_type__` are the profile types with data. */
  async labelValues(
    name: string,
    selection: LabelsSelection = {},
    options: CallOptions = {},
  ): Promise<QuerierLabels> {
    const [{ names }, told] = await this.#ask(options, (rpc) =>
      this.#rpc.labelValues({ name, ...this.#matching(selection) }, rpc),
    );
    return { names, ...told };
  }

  /** Distinct sets of labels, of the labels named or of all. */
  async labelSets(
    selection: LabelsSelection & { readonly names?: readonly string[] | undefined } = {},
    options: CallOptions = {},
  ): Promise<Readonly<Record<string, string>>[]> {
    const labelNames = [...(selection.names ?? [])];
    const [{ labelsSet }] = await this.#ask(options, (rpc) =>
      this.#rpc.series({ ...this.#matching(selection), labelNames }, rpc),
    );
    return labelsSet.map(({ labels }) => labelsOf(labels));
  }

  /** Whether there is data, and from when to when. */
  async stats(options: CallOptions = {}): Promise<Stats> {
    const [stats] = await this.#ask(options, (rpc) => this.#rpc.getProfileStats({}, rpc));
    return {
      hasProfiles: stats.dataIngested,
      oldestMs: Number(stats.oldestProfileTime),
      newestMs: Number(stats.newestProfileTime),
    };
  }

  #merge(
    { profileType, selector = '{}', ...range }: QuerierSelection,
    { maxNodes }: Pick<NodeOptions, 'maxNodes'> = {},
  ) {
    return {
      profileTypeID: profileType,
      labelSelector: selector,
      ...this.#range(range),
      ...(maxNodes === undefined ? {} : { maxNodes: BigInt(maxNodes) }),
    };
  }

  #matching({ selectors = [], ...range }: LabelsSelection) {
    return { matchers: [...selectors], ...this.#range(range) };
  }

  #range(range: Pick<Selection, 'from' | 'to'>): { readonly start: bigint; readonly end: bigint } {
    const { startMs: start, endMs: end } = rangeMessage(range, this.#clock.nowMs());
    return { start, end };
  }

  /** The answer, and what its headers (gRPC: trailers) say of it. */
  #ask<T>(
    options: CallOptions,
    call: (rpc: RpcOptions) => Promise<T>,
  ): Promise<readonly [T, QuerierAnswer]> {
    return this.#caller.run(options, true, async (attempt) => {
      const told = new Map<string, string>();
      const note = (fields: Headers): void =>
        fields.forEach((value, name) => told.set(name, value));
      const answer = await call({ ...rpcOptions(attempt), onHeader: note, onTrailer: note });
      const exact = told.get('tephra-exact');
      return [
        answer,
        {
          exact: exact === undefined ? undefined : exact === 'true',
          notes: exact === 'false' ? (told.get('tephra-notes') ?? '') : undefined,
        },
      ];
    });
  }
}
