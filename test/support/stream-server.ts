import { fromBinary } from '@bufbuild/protobuf';
import { Client, credentials, type ClientDuplexStream } from '@grpc/grpc-js';
import { systemClock, systemTimers, type Clock, type Timers } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { createMetrics } from '../../src/base/metrics.ts';
import { systemRandom } from '../../src/base/random.ts';
import { SelectMergeStacktracesResponseSchema } from '../../src/gen/querier/v1/querier_pb.ts';
import {
  StreamResponseSchema,
  type StreamAck,
  type StreamWelcome,
} from '../../src/gen/tephra/v1/stream_pb.ts';
import { startServer, type RunningServer } from '../../src/server/server.ts';
import { createEngine } from '../../src/shards/create-engine.ts';
import type { ShardedEngine } from '../../src/shards/sharded-engine.ts';
import { MemoryBlobStore } from '../../src/storage/blob-store/memory.ts';
import { openBytes, type TestPart } from './stream-agent.ts';

/** Types of the parts that tests send. */
export const CPU = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds';
export const SAMPLES = 'process_cpu:samples:count:cpu:nanoseconds';

/** A call as an agent has it: what came, and how it ended. */
export class Call {
  readonly stream: ClientDuplexStream<Buffer, Buffer>;
  readonly acks: StreamAck[] = [];
  welcome: StreamWelcome | undefined;
  status: { code: number; details: string } | undefined;
  #wake: (() => void)[] = [];

  constructor(client: Client) {
    this.stream = client.makeBidiStreamRequest(
      '/tephra.v1.IngestService/Stream',
      (bytes: Buffer) => bytes,
      (bytes: Buffer) => bytes,
    );
    this.stream.on('data', (bytes: Buffer) => {
      const { message } = fromBinary(StreamResponseSchema, bytes);
      if (message.case === 'welcome') this.welcome = message.value;
      if (message.case === 'ack') this.acks.push(message.value);
      this.#told();
    });
    this.stream.on('error', () => {});
    this.stream.on('status', (status) => {
      this.status = status;
      this.#told();
    });
  }

  /** Waits until `what` gives something; rejects if the call ends before. */
  async until<T>(what: () => T | undefined): Promise<T> {
    for (;;) {
      const found = what();
      if (found !== undefined) return found;
      if (this.status !== undefined) throw new Error(`the call ended: ${this.status.details}`);
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
  }

  async ended(): Promise<{ code: number; details: string }> {
    while (this.status === undefined) {
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
    return this.status;
  }

  settled(sequence: number): Promise<StreamAck> {
    return this.until(() => this.acks.find(({ settled }) => settled >= BigInt(sequence)));
  }

  #told(): void {
    const waiting = this.#wake;
    this.#wake = [];
    for (const wake of waiting) wake();
  }
}

/** A call that was welcomed. */
export interface OpenedCall {
  readonly call: Call;
  readonly welcome: StreamWelcome;
  readonly instance: Uint8Array;
}

/** A server of streams over a socket, with its engine in memory. */
export class StreamServer {
  readonly engine: ShardedEngine;
  /** What the engine stored. */
  readonly store: MemoryBlobStore;
  readonly #server: RunningServer;
  readonly client: Client;
  #instances = 0;

  private constructor(engine: ShardedEngine, store: MemoryBlobStore, server: RunningServer) {
    this.engine = engine;
    this.store = store;
    this.#server = server;
    this.client = new Client(`127.0.0.1:${this.port}`, credentials.createInsecure());
  }

  /** Starts it; `time` is that of the server, not of the engine. */
  static async start(
    time: { readonly clock?: Clock; readonly timers?: Timers } = {},
    limits: Parameters<typeof createEngine>[0]['limits'] = {},
  ): Promise<StreamServer> {
    const store = new MemoryBlobStore();
    const engine = await createEngine({
      store,
      workers: 0,
      incarnation: 1,
      clock: systemClock,
      timers: systemTimers,
      random: systemRandom,
      limits,
    });
    const server = await startServer({
      engine,
      listen: { host: '127.0.0.1', port: 0 },
      clock: systemClock,
      timers: systemTimers,
      ...time,
      logger: silentLogger,
      metrics: createMetrics(),
    });
    return new StreamServer(engine, store, server);
  }

  get port(): number {
    return this.#server.address.port;
  }

  async stop(): Promise<void> {
    this.client.close();
    await this.#server.stop(1_000);
    await this.engine.stop();
  }

  newInstance(): Uint8Array {
    return Uint8Array.from({ length: 16 }, (_, i) => (i === 0 ? ++this.#instances : 7));
  }

  async opened(
    service: string,
    open: Partial<Parameters<typeof openBytes>[0]> = {},
  ): Promise<OpenedCall> {
    const call = new Call(this.client);
    const instance = open.instance ?? this.newInstance();
    call.stream.write(openBytes({ instance, labels: [['service_name', service]], ...open }));
    return { call, welcome: await call.until(() => call.welcome), instance };
  }

  /** Own values by name, and the total. */
  async merged(selector: string, profileType = SAMPLES): Promise<Record<string, bigint>> {
    const { bytes } = await this.engine.flameGraph({
      tenant: 'anonymous',
      profileType,
      selector,
      startMs: Date.now() - 3_600_000,
      endMs: Date.now() + 600_000,
      maxNodes: undefined,
    });
    const { flamegraph } = fromBinary(SelectMergeStacktracesResponseSchema, bytes);
    const found: Record<string, bigint> = {};
    for (const { values } of flamegraph?.levels ?? []) {
      for (let i = 0; i < values.length; i += 4) {
        const name = flamegraph?.names[Number(values[i + 3])] ?? '';
        const key = name === 'total' ? name : `${name} self`;
        found[key] = (found[key] ?? 0n) + (values[i + (name === 'total' ? 1 : 2)] as bigint);
      }
    }
    return found;
  }
}

/** A part of now: samples by stack, and CPU time of 10 ms each. */
export function samplePart(
  samples: Record<string, number>,
  more: Partial<TestPart> = {},
): TestPart {
  return {
    types: [SAMPLES, CPU],
    periods: [0n, 10_000_000n],
    startMs: Date.now() - 1_000,
    durationMs: 500,
    typeColumn: [0, 0],
    typeScale: [1n, 10_000_000n],
    samples: Object.entries(samples).map(([stack, value]) => ({ stack, values: [value] })),
    ...more,
  };
}
