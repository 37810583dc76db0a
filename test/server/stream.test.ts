import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { fromBinary } from '@bufbuild/protobuf';
import { Client, credentials, type ClientDuplexStream } from '@grpc/grpc-js';
import { systemClock, systemTimers } from '../../src/base/clock.ts';
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
import { openBytes, TestEncoder, type TestPart } from '../support/stream-agent.ts';

const CPU = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds';
const SAMPLES = 'process_cpu:samples:count:cpu:nanoseconds';

let engine: ShardedEngine;
let server: RunningServer;
let client: Client;
let lastInstance = 0;

beforeAll(async () => {
  engine = await createEngine({
    store: new MemoryBlobStore(),
    workers: 0,
    incarnation: 1,
    clock: systemClock,
    timers: systemTimers,
    random: systemRandom,
  });
  server = await startServer({
    engine,
    listen: { host: '127.0.0.1', port: 0 },
    clock: systemClock,
    timers: systemTimers,
    logger: silentLogger,
    metrics: createMetrics(),
  });
  client = new Client(`127.0.0.1:${server.address.port}`, credentials.createInsecure());
});

afterAll(async () => {
  client.close();
  await server.stop(1_000);
  await engine.stop();
});

/** A call as an agent has it: what came, and how it ended. */
class Call {
  readonly stream: ClientDuplexStream<Buffer, Buffer>;
  readonly acks: StreamAck[] = [];
  welcome: StreamWelcome | undefined;
  status: { code: number; details: string } | undefined;
  #wake: (() => void)[] = [];

  constructor() {
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

  /** Waits until `what` gives something; undefined if the call ends before. */
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

function newInstance(): Uint8Array {
  return Uint8Array.from({ length: 16 }, (_, i) => (i === 0 ? ++lastInstance : 7));
}

async function opened(
  service: string,
  open: Partial<Parameters<typeof openBytes>[0]> = {},
): Promise<{ call: Call; welcome: StreamWelcome; instance: Uint8Array }> {
  const call = new Call();
  const instance = open.instance ?? newInstance();
  call.stream.write(openBytes({ instance, labels: [['service_name', service]], ...open }));
  return { call, welcome: await call.until(() => call.welcome), instance };
}

function part(samples: Record<string, number>, more: Partial<TestPart> = {}): TestPart {
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

/** Own values by name, and the total. */
async function merged(selector: string, profileType = SAMPLES): Promise<Record<string, bigint>> {
  const { bytes } = await engine.flameGraph({
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

describe('a stream over a real socket', () => {
  test('samples are acknowledged and found', async () => {
    const { call, welcome } = await opened('shop');
    expect(welcome).toMatchObject({ version: 1, settled: 0n, epoch: 0 });
    expect(welcome.limits).toMatchObject({ messageBytes: 4_194_304n, entries: 1_000_000 });
    const encoder = new TestEncoder(1);
    call.stream.write(encoder.batch(1, [part({ 'main;a': 3, 'main;b': 4 })]));
    call.stream.write(encoder.batch(2, [part({ 'main;b': 1, 'main;b;c': 2, main: 5 })]));
    await call.settled(2);
    expect(await merged('{service_name="shop"}')).toEqual({
      total: 15n,
      'main self': 5n,
      'a self': 3n,
      'b self': 5n,
      'c self': 2n,
    });
    expect(await merged('{service_name="shop"}', CPU)).toMatchObject({ total: 150_000_000n });
    call.stream.end();
    expect(await call.ended()).toMatchObject({ code: 0 });
  });

  test('a call goes on where the one before was cut, with the same epoch', async () => {
    const { call, instance } = await opened('again');
    const encoder = new TestEncoder(1);
    call.stream.write(encoder.batch(1, [part({ 'main;a': 1 })]));
    await call.settled(1);
    call.stream.cancel();
    await call.ended();
    const second = await opened('again', { instance, first: 1, last: 1, epoch: 1 });
    expect(second.welcome).toMatchObject({
      settled: 1n,
      epoch: 1,
      rows: { strings: 2, stacks: 2 },
    });
    second.call.stream.write(encoder.batch(2, [part({ 'main;a': 2 })]));
    await second.call.settled(2);
    expect(await merged('{service_name="again"}')).toMatchObject({ total: 3n });
    const third = await opened('again', { instance, first: 3, last: 2, epoch: 1 });
    expect((await second.call.ended()).details).toMatch(/^stream_replaced: /);
    third.call.stream.end();
  });

  test('what is refused is told by field, and the stream goes on', async () => {
    const { call } = await opened('refuse');
    const encoder = new TestEncoder(1);
    const { startMs } = part({});
    call.stream.write(encoder.batch(1, [part({ a: 1 }, { startMs: startMs - 40 * 86_400_000 })]));
    call.stream.write(encoder.batch(2, [part({ a: 2 })]));
    await call.settled(2);
    const refused = call.acks.flatMap((ack) => ack.refused);
    expect(refused).toMatchObject([
      { sequence: 1n, reason: 'not_in_ingestion_window', field: 'parts[0].start_ms' },
    ]);
    expect(await merged('{service_name="refuse"}')).toMatchObject({ total: 2n });
    call.stream.end();
  });
});
