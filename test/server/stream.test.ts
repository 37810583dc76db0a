import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { create, toBinary } from '@bufbuild/protobuf';
import {
  StreamBatchSchema,
  StreamPartSchema,
  StreamRequestSchema,
} from '../../src/gen/tephra/v1/stream_pb.ts';
import { readFlameGraph } from '../model/answers.ts';
import { encodePprof, type ModelFrame } from '../model/profile.ts';
import { openBytes, TestEncoder } from '../support/stream-agent.ts';
import {
  Call,
  CPU,
  SAMPLES,
  samplePart as part,
  StreamServer,
  type OpenedCall,
} from '../support/stream-server.ts';

let server: StreamServer;

beforeAll(async () => {
  server = await StreamServer.start();
});

afterAll(() => server.stop());

const opened = (...args: Parameters<StreamServer['opened']>): Promise<OpenedCall> =>
  server.opened(...args);
const merged = (...args: Parameters<StreamServer['merged']>): Promise<Record<string, bigint>> =>
  server.merged(...args);

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

test('of a field that comes twice the last counts, the time of a part too', async () => {
  const { call } = await opened('twice');
  call.stream.write(new TestEncoder(1).batch(1, [part({ main: 1 })]));
  const { startMs } = part({});
  const past = create(StreamPartSchema, { startMs: BigInt(startMs - 40 * 86_400_000) });
  const rest = { series: 1, startMs: BigInt(startMs), stackDelta: [1], values: [4n] };
  const present = create(StreamPartSchema, { ...rest, typeColumn: [0, 0] });
  const framed = (tag: number, ...pieces: readonly Uint8Array[]): Buffer => {
    const bytes = Buffer.concat(pieces);
    return Buffer.concat([Buffer.of(tag, bytes.byteLength), bytes]);
  };
  const head = create(StreamBatchSchema, { sequence: 2n, epoch: 1 });
  const parts = [past, present].map((one) => toBinary(StreamPartSchema, one));
  call.stream.write(framed(0x12, toBinary(StreamBatchSchema, head), framed(0x22, ...parts)));
  await call.settled(2);
  expect(call.acks.flatMap(({ refused }) => refused)).toEqual([]);
  expect(await merged('{service_name="twice"}')).toMatchObject({ total: 5n });
  call.stream.end();
});

function modelFrame(name: string): ModelFrame {
  return {
    name,
    systemName: '',
    file: '',
    startLine: 0,
    line: 0,
    mappingFile: '',
    buildId: '',
    address: 0,
    inlined: false,
  };
}

describe('equality', () => {
  test('the same samples as pprof by Push and by the stream give equal merges', async () => {
    const stacks = Array.from({ length: 300 }, (_, i) =>
      Array.from({ length: 1 + (i % 9) }, (__, d) => `f${(i * 7 + d * d) % 40}`),
    );
    const values = stacks.map((_, i) => 1 + ((i * 31) % 17));
    const startMs = Date.now() - 5_000;
    const payload = encodePprof({
      sampleTypes: [
        ['samples', 'count'],
        ['cpu', 'nanoseconds'],
      ],
      periodType: ['cpu', 'nanoseconds'],
      period: 10_000_000n,
      timeNanos: BigInt(startMs) * 1_000_000n,
      samples: stacks.map((stack, i) => ({
        frames: stack.map(modelFrame),
        values: [BigInt(values[i] as number), BigInt(values[i] as number) * 10_000_000n],
        labels: [],
      })),
    });
    const pushed = await server.engine.push([
      {
        tenant: 'anonymous',
        labels: [
          ['__name__', 'process_cpu'],
          ['service_name', 'by push'],
        ],
        profileId: '',
        format: 'pprof',
        surface: 'push',
        payload,
        arrivalMs: Date.now(),
      },
    ]);
    expect(pushed).toMatchObject([{ outcome: 'stored' }]);
    const { call } = await opened('by stream');
    const samples = stacks.map((stack, i) => ({
      stack: stack.join(';'),
      values: [values[i] as number],
    }));
    call.stream.write(new TestEncoder(1).batch(1, [part({}, { startMs, samples })]));
    await call.settled(1);
    call.stream.end();
    for (const type of [SAMPLES, CPU]) {
      const byStream = await graphOf('by stream', type);
      expect(byStream.size).toBeGreaterThan(100);
      expect(byStream).toEqual(await graphOf('by push', type));
    }
  });

  async function graphOf(service: string, profileType: string): Promise<Map<string, bigint>> {
    const { bytes } = await server.engine.flameGraph({
      tenant: 'anonymous',
      profileType,
      selector: `{service_name="${service}"}`,
      startMs: Date.now() - 3_600_000,
      endMs: Date.now() + 600_000,
      maxNodes: 0,
    });
    return readFlameGraph(bytes);
  }
});

describe('bad input', () => {
  /** The status of a call that sent these messages. */
  async function statusAfter(...messages: Uint8Array[]): Promise<string> {
    const call = new Call(server.client);
    call.stream.write(Buffer.from(messages[0] as Uint8Array));
    const rest = messages.slice(1);
    if (rest.length > 0) await call.until(() => call.welcome);
    for (const bytes of rest) call.stream.write(Buffer.from(bytes));
    const { code, details } = await call.ended();
    return `${code} ${details}`;
  }
  const open = (more: Partial<Parameters<typeof openBytes>[0]> = {}): Buffer =>
    openBytes({ instance: server.newInstance(), labels: [['service_name', 'bad']], ...more });
  const good = (sequence: number, epoch = 1): Buffer =>
    new TestEncoder(epoch).batch(sequence, [part({ 'main;x': 1 })]);

  test.each<[string, () => Uint8Array[], RegExp]>([
    ['a batch first', () => [good(1)], /^3 stream_order: batch: /],
    ['bytes that are no message', () => [Buffer.from('hello')], /^3 malformed_protobuf: /],
    ['nothing in the message', () => [Buffer.alloc(0)], /^3 stream_order: message: /],
    [
      'another version',
      () => [open({ version: 2 })],
      /^9 unsupported_version: open.version: 2: expected 1/,
    ],
    [
      'a short instance',
      () => [open({ instance: new Uint8Array(15) })],
      /^3 malformed_open: open.instance: 15/,
    ],
    [
      'no instance',
      () => [open({ instance: new Uint8Array(16) })],
      /^3 malformed_open: open.instance: all/,
    ],
    ['first 0', () => [open({ first: 0 })], /^3 malformed_open: open.first_sequence/],
    [
      'last before first',
      () => [open({ first: 9, last: 7 })],
      /^3 malformed_open: open.last_sequence/,
    ],
    [
      'too much in question',
      () => [open({ first: 1, last: 1_025 })],
      /^3 malformed_open: open.last_sequence/,
    ],
    [
      'a reserved label',
      () => [open({ labels: [['__name__', 'x']] })],
      /^3 reserved_label_name: open.labels/,
    ],
    ['open twice', () => [open(), open()], /^3 stream_order: open: /],
    ['a gap', () => [open(), good(2)], /^3 stream_order: batch.sequence: 2: expected at most 1/],
    ['sequence 0', () => [open(), good(0)], /^3 stream_order: sequence: /],
    ['epoch 0', () => [open(), good(1, 0)], /^3 stream_order: epoch: /],
    [
      'an epoch that goes down',
      () => [open(), good(1, 5), good(2, 4)],
      /^3 stream_order: batch.epoch: 4/,
    ],
    ['a batch cut short', () => [open(), good(1).subarray(0, -1)], /^3 malformed_protobuf: /],
    ['an oversized message', () => [open(), Buffer.alloc(4_194_305)], /^8 body_size_limit: /],
  ])('%s ends the call', async (_, messages, expected) => {
    expect(await statusAfter(...messages())).toMatch(expected);
  });

  /** A batch as it is on the wire, by hand. */
  function wild(additions: object, parts: object[] = []): Buffer {
    return Buffer.from(
      toBinary(
        StreamRequestSchema,
        create(StreamRequestSchema, {
          message: { case: 'batch', value: { sequence: 2n, epoch: 1, additions, parts } },
        }),
      ),
    );
  }
  const at = { series: 1, startMs: BigInt(Date.now()) };

  test.each<[string, () => Buffer, string, string]>([
    [
      'a cyclic parent',
      () => wild({ firstStack: 3, stackParent: [3], stackFrame: [1] }),
      'unknown_reference',
      'additions.stack_parent[0]',
    ],
    [
      'a parent to come',
      () => wild({ firstStack: 3, stackParent: [4, 0], stackFrame: [1, 1] }),
      'unknown_reference',
      'additions.stack_parent[0]',
    ],
    [
      'no such frame',
      () => wild({ firstStack: 3, stackParent: [0], stackFrame: [9] }),
      'unknown_reference',
      'additions.stack_frame[0]',
    ],
    [
      'frame 0',
      () => wild({ firstStack: 3, stackParent: [0], stackFrame: [0] }),
      'unknown_reference',
      'additions.stack_frame[0]',
    ],
    [
      'no such string',
      () => wild({ firstFrame: 3, frames: { function: [99] } }),
      'unknown_reference',
      'additions.frames.function[0]',
    ],
    [
      'rows left out',
      () => wild({ firstString: 40, strings: ['x'] }),
      'unknown_reference',
      'additions.first_string',
    ],
    ['no first id', () => wild({ strings: ['x'] }), 'unknown_reference', 'additions.first_string'],
    [
      'columns of stacks that differ',
      () => wild({ firstStack: 3, stackParent: [0] }),
      'malformed_batch',
      'additions.stack_frame',
    ],
    [
      'columns of frames that differ',
      () => wild({ firstFrame: 3, frames: { function: [1], line: [1, 2] } }),
      'malformed_batch',
      'additions.frames.line',
    ],
    [
      'a series without a type',
      () => wild({ firstSeries: 2, series: [{}] }),
      'malformed_batch',
      'additions.series[0]',
    ],
    [
      'a type of four parts',
      () => wild({ firstSeries: 2, series: [{ types: [{ profileType: 'a:b:c:d' }] }] }),
      'invalid_profile_type',
      'additions.series[0]',
    ],
    [
      'another service',
      () =>
        wild({
          firstSeries: 2,
          series: [
            { labels: [{ name: 'service_name', value: 'x' }], types: [{ profileType: CPU }] },
          ],
        }),
      'reserved_label_name',
      'additions.series[0]',
    ],
    [
      'more strings than allowed',
      () => wild({ firstString: 3, strings: Array.from({ length: 262_144 }, () => '') }),
      '',
      '',
    ],
    [
      'no such stack',
      () => wild({}, [{ ...at, stackDelta: [1, 90], values: [1n, 1n], typeColumn: [0, 0] }]),
      'unknown_reference',
      'parts[0].stack_delta[1]',
    ],
    [
      'a stack below 0',
      () => wild({}, [{ ...at, stackDelta: [-1], values: [1n], typeColumn: [0, 0] }]),
      'unknown_reference',
      'parts[0].stack_delta[0]',
    ],
    [
      'no such series',
      () => wild({}, [{ ...at, series: 7 }]),
      'unknown_reference',
      'parts[0].series',
    ],
    [
      'too few values',
      () => wild({}, [{ ...at, stackDelta: [1], values: [1n] }]),
      'malformed_batch',
      'parts[0].values',
    ],
    [
      'a value of 2^63',
      () => wild({}, [{ ...at, stackDelta: [1], values: [1n << 63n], typeColumn: [0, 0] }]),
      'malformed_batch',
      'parts[0].values[0]',
    ],
    [
      'columns that nobody reads',
      () => wild({}, [{ ...at, typeColumn: [0, 2] }]),
      'malformed_batch',
      'parts[0].type_column',
    ],
    [
      'too few columns',
      () => wild({}, [{ ...at, typeColumn: [0] }]),
      'malformed_batch',
      'parts[0].type_column',
    ],
    [
      'too few scales',
      () => wild({}, [{ ...at, typeScale: [1n] }]),
      'malformed_batch',
      'parts[0].type_scale',
    ],
    [
      'a span of three bytes',
      () => wild({}, [{ ...at, spans: [{ spanId: new Uint8Array(3) }] }]),
      'malformed_batch',
      'parts[0].spans[0].span_id',
    ],
    [
      'runs beyond the entries',
      () => wild({}, [{ ...at, spans: [{ entries: 4_000_000_000 }] }]),
      'malformed_batch',
      'parts[0].spans[0].entries',
    ],
    [
      'labels without values',
      () => wild({}, [{ ...at, labelName: [1] }]),
      'malformed_batch',
      'parts[0].label_value',
    ],
    [
      'labels of strings that are not there',
      () => wild({}, [{ ...at, labelName: [1], labelValue: [77] }]),
      'unknown_reference',
      'parts[0].label_value[0]',
    ],
    [
      'the future',
      () => wild({}, [{ ...at, startMs: BigInt(Date.now() + 3_600_000) }]),
      'not_in_ingestion_window',
      'parts[0].start_ms',
    ],
    [
      'a time beyond all',
      () => wild({}, [{ ...at, startMs: (1n << 64n) - 1n }]),
      'not_in_ingestion_window',
      'parts[0].start_ms',
    ],
    [
      'a long id',
      () => wild({}, [{ ...at, profileId: 'x'.repeat(257) }]),
      'malformed_batch',
      'parts[0].profile_id',
    ],
    [
      'too many parts',
      () =>
        wild(
          {},
          Array.from({ length: 4_097 }, () => at),
        ),
      'stream_limit',
      'parts',
    ],
  ])(
    '%s is refused or asks for an epoch, and nothing else changes',
    async (name, bytes, reason, field) => {
      const service = `bad ${name}`;
      const { call } = await opened(service);
      call.stream.write(new TestEncoder(1).batch(1, [part({ 'main;x': 1 })]));
      await call.settled(1);
      call.stream.write(bytes());
      if (reason === '') {
        await call.until(() =>
          call.acks.find(({ epochEnd }) => epochEnd?.reason === 'stream_limit'),
        );
      } else {
        await call.settled(2);
        const refused = call.acks.flatMap((ack) => ack.refused);
        expect(refused).toMatchObject([{ sequence: 2n, reason, field }]);
      }
      const next = reason === '' ? 2 : 3;
      call.stream.write(new TestEncoder(2).batch(next, [part({ 'main;x': 2 })]));
      await call.settled(next);
      expect(await merged(`{service_name="${service}"}`)).toMatchObject({
        total: 3n,
        'x self': 3n,
      });
      call.stream.end();
      expect(await call.ended()).toMatchObject({ code: 0 });
    },
  );
});
