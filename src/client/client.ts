import { createClient, type CallOptions as RpcOptions, type Client } from '@connectrpc/connect';
import { systemClock, systemTimers, type Clock } from '../base/clock.ts';
import { systemRandom } from '../base/random.ts';
import { IngestService } from '../gen/tephra/v1/ingest_pb.ts';
import {
  MergeFormat,
  QueryService,
  type MergeResponse,
  type MergeStreamResponse,
} from '../gen/tephra/v1/query_pb.ts';
import {
  diffAnswer,
  flameGraphAnswer,
  pprofAnswer,
  seriesAnswer,
  treeAnswer,
  type DiffAnswer,
  type DotAnswer,
  type FlameGraphAnswer,
  type LabelsAnswer,
  type NodeChunk,
  type NodesAnswer,
  type PprofAnswer,
  type SeriesAnswer,
  type Stats,
  type TopAnswer,
  type TreeAnswer,
} from './answers.ts';
import { Caller, rpcOptions, type CallOptions } from './caller.ts';
import { badAnswer, refuseArgument, toClientError } from './error.ts';
import { answerOf } from './exactness.ts';
import { checkStored, ingestPath, type FileProfile } from './ingest.ts';
import { LeavableMessages } from './leavable.ts';
import { countsOnce, profileMessage, resultOf, type PushProfile, type PushResult } from './push.ts';
import { QuerierClient } from './querier.ts';
import {
  rangeMessage,
  selectionMessage,
  type LabelsSelection,
  type NodeOptions,
  type Selection,
  type SeriesOptions,
} from './selection.ts';
import { SampleStream, type StreamOptions } from './stream/stream.ts';
import { createTransports, type ConnectOptions, type Transports } from './transport.ts';

/**
 * A client of one server. Every method throws {@link TephraClientError} and nothing else. Values are
 * BigInt, as they may pass 2^53; times are Unix milliseconds.
 */
export class TephraClient {
  /** The questions that others than Tephra answer too. */
  readonly querier: QuerierClient;
  readonly #transports: Transports;
  readonly #clock: Clock;
  readonly #caller: Caller;
  readonly #ingest: Client<typeof IngestService>;
  readonly #query: Client<typeof QueryService>;
  /** Merges in chunks that are not read to their end. */
  readonly #reading = new Set<LeavableMessages<MergeStreamResponse>>();

  constructor(transports: Transports, clock: Clock = systemClock) {
    this.#transports = transports;
    this.#clock = clock;
    this.#ingest = createClient(IngestService, transports.calls);
    this.#query = createClient(QueryService, transports.calls);
    this.#caller = new Caller(transports.rules);
    this.querier = new QuerierClient(transports.calls, this.#caller, clock);
  }

  /** The server's URL, without a slash at its end. */
  get url(): string {
    return this.#transports.url;
  }

  /** Stores profiles; one result for each, in order. What is stored or duplicate is durable. */
  async push(profiles: readonly PushProfile[], options: CallOptions = {}): Promise<PushResult[]> {
    // The same for all tries: `now-1m` would be another profile each time.
    const nowMs = this.#clock.nowMs();
    return this.#caller.run(options, profiles.every(countsOnce), async (attempt) => {
      const messages = profiles.map((profile) => profileMessage(profile, nowMs));
      const { results } = await this.#ingest.push({ profiles: messages }, rpcOptions(attempt));
      if (results.length !== profiles.length) throw badAnswer('not one result for each profile');
      return results.map(resultOf);
    });
  }

  /**
   * Stores a profile as a tool wrote it, pprof or folded text, by `POST /ingest` over HTTP/1.1: the server
   * names its type. It is durable then. The same bytes with the same labels and start count once.
   */
  async ingest(profile: FileProfile, options: CallOptions = {}): Promise<void> {
    const path = ingestPath(profile, this.#clock.nowMs());
    await this.#caller.run(options, profile.start !== undefined, async (attempt) => {
      checkStored(await this.#transports.post(path, profile.payload, attempt));
    });
  }

  /** A merge as a flame graph. */
  async flameGraph(selection: Selection, options: NodeOptions = {}): Promise<FlameGraphAnswer> {
    return flameGraphAnswer(await this.#merge(selection, MergeFormat.FLAMEGRAPH, options));
  }

  /** A merge as a tree of function names. */
  async tree(selection: Selection, options: NodeOptions = {}): Promise<TreeAnswer> {
    return treeAnswer(await this.#merge(selection, MergeFormat.TREE, options));
  }

  /** A merge as a Graphviz graph. */
  async dot(selection: Selection, options: NodeOptions = {}): Promise<DotAnswer> {
    const message = await this.#merge(selection, MergeFormat.DOT, options);
    return { dot: message.dot, ...answerOf(message) };
  }

  /** A merge as pprof, with full frames. */
  async pprof(selection: Selection, options: CallOptions = {}): Promise<PprofAnswer> {
    return pprofAnswer(await this.#merge(selection, MergeFormat.PPROF, options));
  }

  /**
   * A merge in chunks of nodes, for trees that are large as one message. The call is open until the chunks
   * are read or left (by `break`), the client is closed, or the deadline has passed.
   */
  async nodes(selection: Selection, options: NodeOptions = {}): Promise<NodesAnswer> {
    return this.#ask(options, async (rpc) => {
      const request = {
        selection: selectionMessage(selection, this.#clock.nowMs()),
        maxNodes: BigInt(options.maxNodes ?? 0),
      };
      const messages = new LeavableMessages(
        (signal) => this.#query.mergeStream(request, { ...rpc, signal }),
        rpc.signal,
      );
      const reading = this.#reading;
      reading.add(messages);
      const leave = async (): Promise<void> => {
        reading.delete(messages);
        await messages.leave();
      };
      const first = await messages.next().catch(async (error: unknown) => {
        await leave();
        throw error;
      });
      if (first.done === true) {
        await leave();
        throw badAnswer('no record');
      }
      const chunks = (async function* (): AsyncGenerator<NodeChunk> {
        try {
          for (let next = await messages.next(); next.done !== true; next = await messages.next()) {
            const { firstNode, names, parent, name, self, total } = next.value;
            yield { firstNode, names, parent, name, self, total };
          }
        } catch (error) {
          throw toClientError(error);
        } finally {
          await leave();
        }
      })();
      return { nodeCount: first.value.nodeCount, chunks, ...answerOf(first.value) };
    });
  }

  /** Two merges of one type compared; `left` is the baseline. */
  async diff(left: Selection, right: Selection, options: NodeOptions = {}): Promise<DiffAnswer> {
    return this.#ask(options, async (rpc) => {
      const nowMs = this.#clock.nowMs();
      const request = {
        left: selectionMessage(left, nowMs),
        right: selectionMessage(right, nowMs),
        maxNodes: BigInt(options.maxNodes ?? 0),
      };
      return diffAnswer(await this.#query.diff(request, rpc));
    });
  }

  /** Sums over time, by group. */
  async series(selection: Selection, options: SeriesOptions): Promise<SeriesAnswer> {
    return this.#ask(options, async (rpc) => {
      const request = {
        selection: selectionMessage(selection, this.#clock.nowMs()),
        stepMs: BigInt(Math.round(options.stepMs)),
        groupBy: [...(options.groupBy ?? [])],
        limit: options.limit ?? 0,
        exemplars: options.exemplars ?? false,
      };
      return seriesAnswer(await this.#query.series(request, rpc));
    });
  }

  /** The functions that cost most, by their own value. */
  async top(
    selection: Selection,
    options: CallOptions & { readonly limit?: number | undefined } = {},
  ): Promise<TopAnswer> {
    return this.#ask(options, async (rpc) => {
      const request = {
        selection: selectionMessage(selection, this.#clock.nowMs()),
        limit: options.limit ?? 0,
      };
      const message = await this.#query.topFunctions(request, rpc);
      const functions = message.functions.map(({ name, self, total }) => ({ name, self, total }));
      const { functionCount, restSelf } = message;
      return { functions, functionCount, restSelf, ...answerOf(message) };
    });
  }

  /** Names of the labels in use. */
  async labelNames(
    selection: LabelsSelection = {},
    options: CallOptions = {},
  ): Promise<LabelsAnswer> {
    return this.#labels('', selection, options);
  }

  /** Values of one label. */
  async labelValues(
    name: string,
    selection: LabelsSelection = {},
    options: CallOptions = {},
  ): Promise<LabelsAnswer> {
    if (name === '') throw refuseArgument('name: a label has one');
    return this.#labels(name, selection, options);
  }

  /** Profile types with data: five-part ids, sorted. */
  async profileTypes(
    selection: LabelsSelection = {},
    options: CallOptions = {},
  ): Promise<LabelsAnswer> {
    return this.#labels('__profile_type__', selection, options);
  }

  /** Distinct sets of labels, of the labels named or of all. */
  async labelSets(
    selection: LabelsSelection & { readonly names?: readonly string[] | undefined } = {},
    options: CallOptions = {},
  ): Promise<Readonly<Record<string, string>>[]> {
    return this.querier.labelSets(selection, options);
  }

  /** Whether there is data, and from when to when. */
  async stats(options: CallOptions = {}): Promise<Stats> {
    return this.querier.stats(options);
  }

  /** A stream of samples; it connects at once, by itself, and is closed by itself. */
  stream(options: StreamOptions): SampleStream {
    this.#caller.checkOpen();
    const deps = { timers: systemTimers, random: systemRandom };
    return new SampleStream(this.#transports.stream, options, deps);
  }

  /** Ends all connections but those of streams. Open calls fail, later ones throw `closed`. */
  close(): void {
    this.#caller.close();
    for (const messages of this.#reading) void messages.leave();
    this.#reading.clear();
    this.#transports.close();
  }

  #merge(selection: Selection, format: MergeFormat, options: NodeOptions): Promise<MergeResponse> {
    return this.#ask(options, (rpc) => {
      const message = selectionMessage(selection, this.#clock.nowMs());
      const maxNodes = BigInt(options.maxNodes ?? 0);
      return this.#query.merge({ selection: message, format, maxNodes }, rpc);
    });
  }

  #labels(name: string, selection: LabelsSelection, options: CallOptions): Promise<LabelsAnswer> {
    return this.#ask(options, async (rpc) => {
      const range = rangeMessage(selection, this.#clock.nowMs());
      const request = { name, selectors: [...(selection.selectors ?? [])], ...range };
      const message = await this.#query.labels(request, rpc);
      return { names: message.names, ...answerOf(message) };
    });
  }

  #ask<T>(options: CallOptions, ask: (rpc: RpcOptions) => Promise<T>): Promise<T> {
    return this.#caller.run(options, true, (attempt) => ask(rpcOptions(attempt)));
  }
}

/** A client of the server at `options.url`; connects when first used. */
export function connect(options: ConnectOptions): TephraClient {
  return new TephraClient(createTransports(options));
}
