import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2';
import { create, toBinary } from '@bufbuild/protobuf';
import { systemClock, systemTimers } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { createMetrics, type Metrics } from '../../src/base/metrics.ts';
import { ProfileSchema } from '../../src/gen/google/v1/profile_pb.ts';
import {
  DiffResponseSchema,
  SelectMergeStacktracesResponseSchema,
} from '../../src/gen/querier/v1/querier_pb.ts';
import type { PushItem, PushOutcome } from '../../src/ingest/push.ts';
import { splitOtlp } from '../../src/profile/otlp/split.ts';
import { atOnce } from '../../src/base/steps.ts';
import type { Label } from '../../src/profile/labels.ts';
import {
  NO_NOTES,
  type HeatAnswer,
  type QueryNotes,
  type SeriesAnswer,
} from '../../src/query/request.ts';
import type { Engine } from '../../src/shards/engine.ts';
import { startServer, type RunningServer, type ServerOptions } from '../../src/server/server.ts';

/** An engine that remembers what it was asked and answers what a test put in. */
export class FakeEngine implements Engine {
  readonly calls: { method: string; args: unknown[] }[] = [];
  readonly pushed: PushItem[] = [];
  outcome: (item: PushItem, index: number) => PushOutcome = () => ({
    outcome: 'stored',
    entries: 1,
  });
  fail: Error | undefined = undefined;
  gate: Promise<void> = Promise.resolve();
  notes: QueryNotes = NO_NOTES;
  /** Chunks of a tree: encoded `tephra.v1.MergeStreamResponse` messages. */
  chunks: Uint8Array[] = [];
  types: string[] = ['process_cpu:cpu:nanoseconds:cpu:nanoseconds', 'memory:space:bytes::'];
  names: string[] = ['__name__', 'otel.scope.name', 'service_name'];
  sets: (readonly Label[])[] = [
    [['otel.scope.name', 'x'] as const, ['service_name', 'shop'] as const],
  ];
  lines: SeriesAnswer[] = [
    { labels: [['pod', 'a']], points: [{ timestampMs: 75_000, value: 1.5 }] },
  ];

  readonly flame = create(SelectMergeStacktracesResponseSchema, {
    flamegraph: {
      names: ['total', 'main'],
      levels: [{ values: [0n, 11n, 0n, 0n] }, { values: [0n, 11n, 11n, 1n] }],
      total: 11n,
      maxSelf: 11n,
    },
  });
  readonly profile = create(ProfileSchema, {
    sampleType: [{ type: 1n, unit: 2n }],
    sample: [{ locationId: [1n], value: [11n] }],
    location: [{ id: 1n, line: [{ functionId: 1n, line: 7n }] }],
    function: [{ id: 1n, name: 3n }],
    stringTable: ['', 'cpu', 'nanoseconds', 'main'],
  });
  readonly difference = create(DiffResponseSchema, {
    flamegraph: { names: ['total'], levels: [{ values: [0n, 3n, 0n, 0n, 4n, 0n, 0n] }], total: 7n },
  });

  async push(items: readonly PushItem[]): Promise<readonly PushOutcome[]> {
    await this.#called('push', items);
    this.pushed.push(...items.map((item) => ({ ...item, payload: item.payload.slice() })));
    return items.map((item, index) => this.outcome(item, index));
  }
  async splitOtlp(...args: Parameters<Engine['splitOtlp']>): ReturnType<Engine['splitOtlp']> {
    await this.#called('splitOtlp', ...args);
    return atOnce(splitOtlp(...args));
  }
  streamShard(): number {
    return 0;
  }
  streamLabels(labels: readonly Label[]): readonly Label[] {
    return labels;
  }
  async openStream(...args: unknown[]): ReturnType<Engine['openStream']> {
    await this.#called('openStream', ...args);
    return streamOpened();
  }
  async takeStream(...args: Parameters<Engine['takeStream']>): ReturnType<Engine['takeStream']> {
    await this.#called('takeStream', ...args);
    return { reports: [], bytes: args[1].bytes };
  }
  async closeStream(...args: unknown[]): Promise<void> {
    await this.#called('closeStream', ...args);
  }
  async profileTypes(...args: unknown[]): Promise<readonly string[]> {
    await this.#called('profileTypes', ...args);
    return this.types;
  }
  async labelNames(...args: unknown[]): Promise<readonly string[]> {
    await this.#called('labelNames', ...args);
    return this.names;
  }
  labelValues = async (...args: Parameters<Engine['labelValues']>): Promise<readonly string[]> => {
    await this.#called('labelValues', ...args);
    return ['shop'];
  };
  async series(...args: unknown[]): Promise<readonly (readonly Label[])[]> {
    await this.#called('series', ...args);
    return this.sets;
  }
  async heatmap(...args: unknown[]): Promise<readonly HeatAnswer[]> {
    await this.#called('heatmap', ...args);
    return [];
  }
  async selectSeries(...args: unknown[]): Promise<readonly SeriesAnswer[]> {
    await this.#called('selectSeries', ...args);
    return this.lines;
  }
  async flameGraph(...args: unknown[]): Promise<{ bytes: Uint8Array; notes: QueryNotes }> {
    await this.#called('flameGraph', ...args);
    return {
      bytes: toBinary(SelectMergeStacktracesResponseSchema, this.flame),
      notes: this.notes,
    };
  }
  async pprof(...args: unknown[]): Promise<{ bytes: Uint8Array; notes: QueryNotes }> {
    await this.#called('pprof', ...args);
    return { bytes: toBinary(ProfileSchema, this.profile), notes: this.notes };
  }
  async tree(...args: Parameters<Engine['tree']>): ReturnType<Engine['tree']> {
    await this.#called('tree', ...args);
    const [, { kind }] = args;
    const bytes =
      kind === 'top'
        ? new Uint8Array(0)
        : toBinary(
            SelectMergeStacktracesResponseSchema,
            create(
              SelectMergeStacktracesResponseSchema,
              kind === 'tree' ? { tree: Uint8Array.of(0, 0, 0) } : { dot: 'digraph profile {}' },
            ),
          );
    return { bytes, notes: this.notes };
  }
  async nodes(...args: unknown[]): ReturnType<Engine['nodes']> {
    await this.#called('nodes', ...args);
    const { chunks } = this;
    return {
      nodes: chunks.length,
      notes: this.notes,
      chunks: (async function* () {
        yield* chunks;
      })(),
    };
  }
  async profileStats(...args: unknown[]): ReturnType<Engine['profileStats']> {
    await this.#called('profileStats', ...args);
    return { hasProfiles: true, oldestMs: 60_000, newestMs: 120_000 };
  }
  async queryCost(...args: unknown[]): ReturnType<Engine['queryCost']> {
    await this.#called('queryCost', ...args);
    const symbolBytes = 5;
    const tier = { blocks: 1, series: 2, profiles: 3, indexBytes: 4, columnBytes: 6, symbolBytes };
    return { minutes: tier, raw: { ...tier, blocks: 7 }, shards: 1 };
  }
  async diff(...args: unknown[]): Promise<{ bytes: Uint8Array; notes: QueryNotes }> {
    await this.#called('diff', ...args);
    return { bytes: toBinary(DiffResponseSchema, this.difference), notes: this.notes };
  }
  runJobs(): Promise<void> {
    return Promise.resolve();
  }
  stop(): Promise<void> {
    return Promise.resolve();
  }
  async #called(method: string, ...args: unknown[]): Promise<void> {
    this.calls.push({ method, args });
    await this.gate;
    if (this.fail !== undefined) throw this.fail;
  }
}

function streamOpened(): Awaited<ReturnType<Engine['openStream']>> {
  const rows = { strings: 0, frames: 0, stacks: 0, series: 0 };
  const limits = { rows, textBytes: 0, parts: 0, entries: 0 };
  return { settled: 0, epoch: 0, rows, limits, replaces: undefined };
}

/** A server over a fake engine on a port of its own. */
export interface Fixture {
  readonly engine: FakeEngine;
  readonly server: RunningServer;
  readonly metrics: Metrics;
  readonly port: number;
  readonly url: string;
}

/** Starts one. */
export async function startFixture(options: Partial<ServerOptions> = {}): Promise<Fixture> {
  const engine = new FakeEngine();
  const metrics = createMetrics();
  const server = await startServer({
    engine,
    listen: { host: '127.0.0.1', port: 0 },
    clock: systemClock,
    timers: systemTimers,
    logger: silentLogger,
    metrics,
    ...options,
  });
  const { port } = server.address;
  return { engine, server, metrics, port, url: `http://127.0.0.1:${port}` };
}

/** What a raw request brought back. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly text: string;
}

/** One HTTP/1.1 request with exactly these headers. */
export function send(
  url: string,
  body?: Uint8Array | string,
  headers: Record<string, string> = {},
  method = 'POST',
): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(url, { method, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const all = Buffer.concat(chunks);
        const { statusCode = 0, headers: received } = response;
        resolve({ status: statusCode, headers: received, body: all, text: all.toString() });
      });
    });
    request.on('error', reject);
    request.end(body);
  });
}

export const PROTO = { 'content-type': 'application/proto' };
export const JSON_TYPE = { 'content-type': 'application/json' };

/** Opens a gRPC call on an HTTP/2 connection; nothing of its message is sent. */
export function openGrpc(session: ClientHttp2Session, path: string): ClientHttp2Stream {
  const stream = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  stream.on('error', () => {});
  return stream;
}
