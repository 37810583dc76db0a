/**
 * What is wrong on a live stream, over a real socket: it has its code, what was acknowledged before stays
 * and counts once, the agent goes on by opening again, and a stream beside it notices nothing.
 */
import { connect, type ClientHttp2Stream, type IncomingHttpHeaders } from 'node:http2';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { create, toBinary, type MessageInitShape } from '@bufbuild/protobuf';
import { systemTimers } from '../../src/base/clock.ts';
import { LIMITS } from '../../src/base/limits.ts';
import { StreamRequestSchema } from '../../src/gen/tephra/v1/stream_pb.ts';
import { openBytes, TestEncoder } from '../support/stream-agent.ts';
import { Call, samplePart, StreamServer, type OpenedCall } from '../support/stream-server.ts';
import { openGrpc } from './fixture.ts';

/** A stream beside: a batch before and one after, on one call and in one epoch. */
class Bystander {
  readonly #server: StreamServer;
  readonly #service: string;
  readonly #opened: OpenedCall;
  readonly #encoder = new TestEncoder(1);
  #sequence = 0;

  constructor(server: StreamServer, service: string, opened: OpenedCall) {
    this.#server = server;
    this.#service = service;
    this.#opened = opened;
  }

  static async begin(server: StreamServer, service: string): Promise<Bystander> {
    const bystander = new Bystander(server, service, await server.opened(service));
    await bystander.send();
    return bystander;
  }

  async send(): Promise<void> {
    const { call } = this.#opened;
    call.stream.write(this.#encoder.batch(++this.#sequence, [samplePart({ 'main;calm': 1 })]));
    await call.settled(this.#sequence);
  }

  /** Sends once more and ends; how often that was refused or asked for an epoch, and what is stored. */
  async end(): Promise<Record<string, unknown>> {
    await this.send();
    const { call } = this.#opened;
    call.stream.end();
    const { code } = await call.ended();
    const troubles = call.acks.filter(
      ({ refused, epochEnd }) => refused.length > 0 || epochEnd !== undefined,
    );
    const stored = await this.#server.merged(`{service_name="${this.#service}"}`);
    return { code, troubles: troubles.length, stored: Number(stored['calm self']) };
  }
}

/** What becomes of a stream with so many batches beside another that is attacked. */
function untouched(batches: number): Record<string, unknown> {
  return { code: 0, troubles: 0, stored: batches };
}

type Batch = Extract<
  NonNullable<MessageInitShape<typeof StreamRequestSchema>['message']>,
  { case: 'batch' }
>['value'];

/** Batch 2 of epoch 1, as no encoder makes it. */
function wild(batch: Partial<Batch>): Buffer {
  const value = { sequence: 2n, epoch: 1, ...batch } as Batch;
  const message = create(StreamRequestSchema, { message: { case: 'batch', value } });
  return Buffer.from(toBinary(StreamRequestSchema, message));
}

/**
 * Batch 2 with one part that has these bytes in field 4 (`stack_delta`), whatever they are; `length` is what is
 * said of them.
 */
function withDeltas(bytes: Buffer, length: readonly number[] = varint(bytes.byteLength)): Buffer {
  const part = Buffer.concat([Buffer.from([0x08, 0x01, 0x22, ...length]), bytes]);
  const head = [0x08, 0x02, 0x10, 0x01, 0x22, ...varint(part.byteLength)];
  const size = varint(head.length + part.byteLength);
  return Buffer.concat([Buffer.from([0x12, ...size, ...head]), part]);
}

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)];
}

const SERVICE = 'attacked';
let server: StreamServer;
beforeAll(async () => {
  server = await StreamServer.start();
});
afterAll(() => server.stop());

/** A stream with one acknowledged batch. */
async function acknowledged(service: string): Promise<OpenedCall> {
  const opened = await server.opened(service);
  opened.call.stream.write(new TestEncoder(1).batch(1, [samplePart({ 'main;x': 5 })]));
  await opened.call.settled(1);
  return opened;
}

/** What such a stream has when batch 2 was sent well in the end. */
const WHOLE = { total: 7n, 'main self': 0n, 'x self': 7n };
/** Batch 1 of it. */
const BEFORE = { total: 5n, 'main self': 0n, 'x self': 5n };

describe('what ends the call', () => {
  const at = { series: 1, startMs: BigInt(Date.now()) };
  test.each<[string, () => Buffer, RegExp]>([
    ['a message of 4 MiB and a byte', () => Buffer.alloc(4_194_305), /^8 body_size_limit: /],
    ['bytes that are no message', () => Buffer.from('no message'), /^3 malformed_protobuf: /],
    ['an empty message', () => Buffer.alloc(0), /^3 /],
    [
      'a list that says it is 2 GiB long',
      () => withDeltas(Buffer.from([2]), [0xff, 0xff, 0xff, 0xff, 0x07]),
      /^3 malformed_protobuf: /,
    ],
    [
      'a list that is longer than its part',
      () => withDeltas(Buffer.from([2]), [9]),
      /^3 malformed_protobuf: /,
    ],
    [
      'a number without an end',
      () => withDeltas(Buffer.alloc(11, 0xff)),
      /^3 malformed_protobuf: /,
    ],
    ['a gap', () => wild({ sequence: 9n }), /^3 stream_order: batch.sequence: /],
    ['sequence 2^63', () => wild({ sequence: 1n << 63n }), /^3 stream_order: sequence: /],
    ['epoch 0', () => wild({ epoch: 0 }), /^3 stream_order: epoch: /],
    [
      'another open',
      () => openBytes({ instance: server.newInstance(), labels: [['service_name', SERVICE]] }),
      /^3 stream_order: open: /,
    ],
    [
      'unknown fields without end',
      () => Buffer.concat([wild({ parts: [at] }), Buffer.alloc(200_000, Buffer.from([0x78, 1]))]),
      /^(?:3|8) (?:malformed_protobuf|too_many_fields): /,
    ],
  ])('%s: what was acknowledged stays, and the agent goes on', async (name, bytes, expected) => {
    const service = `${SERVICE} by ${name}`;
    const bystander = await Bystander.begin(server, `beside ${name}`);
    const { call, instance } = await acknowledged(service);
    call.stream.write(bytes());
    const { code, details } = await call.ended();
    expect(`${code} ${details}`).toMatch(expected);
    expect(await server.merged(`{service_name="${service}"}`)).toEqual(BEFORE);
    const again = await server.opened(service, { instance, first: 2, last: 2, epoch: 1 });
    expect(again.welcome).toMatchObject({ settled: 1n });
    const fresh = new TestEncoder(2);
    again.call.stream.write(fresh.batch(2, [samplePart({ 'main;x': 2 })]));
    await again.call.settled(2);
    again.call.stream.end();
    expect(await again.call.ended()).toMatchObject({ code: 0 });
    expect(await server.merged(`{service_name="${service}"}`)).toEqual(WHOLE);
    expect(await bystander.end()).toEqual(untouched(2));
  });

  test('another version: nothing is stored, and the stream of the same agent that was welcomed stays', async () => {
    const bystander = await Bystander.begin(server, 'beside another version');
    const { call, instance } = await acknowledged('versions');
    const other = new Call(server.client);
    const labels = [['service_name', 'versions']] as const;
    other.stream.write(openBytes({ instance, labels, version: 2, first: 2 }));
    const { code, details } = await other.ended();
    expect(`${code} ${details}`).toMatch(/^9 unsupported_version: open.version: 2: expected 1/);
    call.stream.write(new TestEncoder(2).batch(2, [samplePart({ 'main;x': 2 })]));
    await call.settled(2);
    call.stream.end();
    expect(await server.merged('{service_name="versions"}')).toEqual(WHOLE);
    expect(await bystander.end()).toEqual(untouched(2));
  });
});

describe('what is refused', () => {
  const at = { series: 1, startMs: BigInt(Date.now()) };
  const values = { values: [1n], typeColumn: [0, 0] };
  test.each<[string, () => Buffer, string]>([
    [
      'a stack that is in no row',
      () => wild({ parts: [{ ...at, ...values, stackDelta: [99] }] }),
      'unknown_reference parts[0].stack_delta[0]',
    ],
    [
      'a parent that is its own child',
      () => wild({ additions: { firstStack: 3, stackParent: [3], stackFrame: [1] } }),
      'unknown_reference additions.stack_parent[0]',
    ],
    [
      'two parents of each other',
      () => wild({ additions: { firstStack: 3, stackParent: [4, 3], stackFrame: [1, 1] } }),
      'unknown_reference additions.stack_parent[0]',
    ],
    [
      'a first id of 2^32 - 1',
      () => wild({ additions: { firstString: 0xffff_ffff, strings: ['x'] } }),
      'unknown_reference additions.first_string',
    ],
    [
      'spans of 2^32 - 1 entries',
      () => wild({ parts: [{ ...at, spans: [{ entries: 0xffff_ffff }] }] }),
      'malformed_batch parts[0].spans[0].entries',
    ],
    [
      'two million entries',
      () => withDeltas(Buffer.alloc(2_000_000)),
      'stream_limit parts[0].stack_delta',
    ],
    [
      'values without entries',
      () => wild({ parts: [{ ...at, values: Array.from({ length: 10_000 }, () => 1n) }] }),
      'malformed_batch parts[0].values',
    ],
  ])('%s: nothing of the batch is stored, and all around it is', async (name, bytes, expected) => {
    const service = `${SERVICE} by ${name}`;
    const bystander = await Bystander.begin(server, `beside ${name}`);
    const { call } = await acknowledged(service);
    call.stream.write(bytes());
    await call.settled(2);
    const refused = call.acks.flatMap((ack) => ack.refused);
    expect(refused.map(({ reason, field }) => `${reason} ${field}`)).toEqual([expected]);
    call.stream.write(new TestEncoder(2).batch(3, [samplePart({ 'main;x': 2 })]));
    await call.settled(3);
    call.stream.end();
    expect(await call.ended()).toMatchObject({ code: 0 });
    expect(await server.merged(`{service_name="${service}"}`)).toEqual(WHOLE);
    expect(await bystander.end()).toEqual(untouched(2));
  });
});

/** The server's timers and its sense of how long something lasts, by hand; it is today all the same. */
class HandTimers {
  #ms = 0;
  readonly #pending = new Set<{ readonly atMs: number; readonly callback: () => void }>();
  readonly clock = { nowMs: () => Date.now(), monotonicMs: () => this.#ms };
  readonly timers = {
    after: (delayMs: number, callback: () => void): (() => void) => {
      const timer = { atMs: this.#ms + delayMs, callback };
      this.#pending.add(timer);
      return () => void this.#pending.delete(timer);
    },
    yield: () => systemTimers.yield(),
  };

  pass(ms: number): void {
    this.#ms += ms;
    const due = [...this.#pending].filter(({ atMs }) => atMs <= this.#ms);
    for (const timer of due) {
      if (!this.#pending.delete(timer)) continue;
      timer.callback();
    }
  }
}

describe('silence', () => {
  const hand = new HandTimers();
  let slow: StreamServer;
  beforeAll(async () => {
    slow = await StreamServer.start(hand);
  });
  afterAll(() => slow.stop());

  test('after open ends that call; what was acknowledged stays', async () => {
    const bystander = await Bystander.begin(slow, 'talks');
    const { call, instance } = await slow.opened('silent');
    call.stream.write(new TestEncoder(1).batch(1, [samplePart({ 'main;x': 5 })]));
    await call.settled(1);
    hand.pass(LIMITS.streamSilenceMs - 2_000);
    await bystander.send();
    hand.pass(2_000);
    const { code, details } = await call.ended();
    expect(`${code} ${details}`).toMatch(/^14 stream_silent: /);
    const again = await slow.opened('silent', { instance, first: 2, last: 1, epoch: 1 });
    expect(again.welcome).toMatchObject({ settled: 1n, epoch: 1 });
    again.call.stream.end();
    expect(await slow.merged('{service_name="silent"}')).toEqual(BEFORE);
    expect(await bystander.end()).toEqual(untouched(3));
  });

  test('instead of open ends that call', async () => {
    const bystander = await Bystander.begin(slow, 'opens');
    const mute = rawCall(slow.port, Buffer.alloc(0));
    await answered(mute.stream, () => hand.pass(LIMITS.streamOpenTimeoutMs + 1_000));
    expect(await mute.status).toBe('4');
    expect(await bystander.end()).toEqual(untouched(2));
  });

  test('within a message ends that call', async () => {
    const bystander = await Bystander.begin(slow, 'ends its messages');
    // Five bytes say that a hundred follow; three do.
    const half = rawCall(slow.port, Buffer.from([0, 0, 0, 0, 100, 0x0a, 0x33, 0x08]));
    await answered(half.stream, () => {
      hand.pass(LIMITS.streamOpenTimeoutMs - 1_000);
    });
    expect(await half.status).toBe('4');
    expect(await bystander.end()).toEqual(untouched(2));
  });
});

/** A call by HTTP/2 alone, with these bytes behind its headers. */
function rawCall(
  port: number,
  bytes: Buffer,
): { readonly stream: ClientHttp2Stream; readonly status: Promise<string> } {
  const session = connect(`http://127.0.0.1:${port}`);
  const stream = openGrpc(session, '/tephra.v1.IngestService/Stream');
  if (bytes.byteLength > 0) stream.write(bytes);
  const status = new Promise<string>((resolve) => {
    const take = (headers: IncomingHttpHeaders): void => {
      const code = headers['grpc-status'];
      if (typeof code === 'string') resolve(code);
    };
    stream.on('response', take);
    stream.on('trailers', take);
  });
  void status.then(() => session.destroy());
  stream.resume();
  return { stream, status };
}

/** Lets time pass, again and again, until the stream has ended: the server learns of it in its own time. */
async function answered(stream: ClientHttp2Stream, pass: () => void): Promise<void> {
  while (!stream.closed && !stream.readableEnded) {
    pass();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
