/** What a part of a stream carries beside its samples is found by it: ids, labels, and times within a minute. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { StreamRequestSchema, StreamSpanSchema } from '../../src/gen/tephra/v1/stream_pb.ts';
import { readFlameGraph } from '../model/answers.ts';
import { TestEncoder } from '../support/stream-agent.ts';
import { SAMPLES, samplePart, StreamServer } from '../support/stream-server.ts';

const SERVICE = 'ids';
const SPAN = 'aaaaaaaaaaaaaaa1';
const TRACE = 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb2';
/** A minute that is over, so that all parts lie in the same. */
const MINUTE = Math.floor(Date.now() / 60_000) * 60_000 - 120_000;

let server: StreamServer;
beforeAll(async () => {
  server = await StreamServer.start();
  const { call } = await server.opened(SERVICE);
  const encoder = new TestEncoder(1);
  const bytes = encoder.batch(1, [
    samplePart({ 'main;plain': 1 }, { startMs: MINUTE + 100 }),
    samplePart({ 'main;named': 2 }, { startMs: MINUTE + 200, profileId: 'profile-7' }),
    samplePart(
      { 'main;labelled': 4 },
      { startMs: MINUTE + 300, sampleLabels: [['route', '/pay']] },
    ),
    // Of three entries the first is in a span, the second in a trace, the third in neither.
    samplePart({ 'main;span': 8, 'main;trace': 16, 'main;none': 32 }, { startMs: MINUTE + 400 }),
  ]);
  const request = fromBinary(StreamRequestSchema, bytes);
  if (request.message.case !== 'batch') throw new Error('no batch');
  request.message.value.parts[3]!.spans = [
    create(StreamSpanSchema, { entries: 1, spanId: Buffer.from(SPAN, 'hex') }),
    create(StreamSpanSchema, { entries: 1, traceId: Buffer.from(TRACE, 'hex') }),
  ];
  call.stream.write(Buffer.from(toBinary(StreamRequestSchema, request)));
  const { refused } = await call.settled(1);
  if (refused.length > 0) throw new Error(refused[0]?.message);
  call.stream.end();
});
afterAll(() => server.stop());

/** The functions that samples end in, with their values. */
async function leaves(
  narrowed: object,
  [fromMs, toMs]: readonly [number, number] = [0, 59_999],
): Promise<Record<string, number>> {
  const { bytes } = await server.engine.flameGraph({
    tenant: 'anonymous',
    profileType: SAMPLES,
    selector: `{service_name="${SERVICE}"}`,
    startMs: MINUTE + fromMs,
    endMs: MINUTE + toMs,
    maxNodes: 0,
    ...narrowed,
  });
  const found: Record<string, number> = {};
  for (const [stack, value] of readFlameGraph(bytes)) {
    const leaf = (JSON.parse(stack) as string[]).at(-1) ?? '';
    if (value > 0n) found[leaf] = Number(value);
  }
  return found;
}

const ALL = { plain: 1, named: 2, labelled: 4, span: 8, trace: 16, none: 32 };

test.each<[string, object, Record<string, number>]>([
  ['nothing more', {}, ALL],
  ['a profile id', { profileIds: ['profile-7'] }, { named: 2 }],
  ['a span', { spanIds: [SPAN] }, { span: 8 }],
  ['a trace', { traceIds: [TRACE] }, { trace: 16 }],
  ['a label of samples', { selector: '{route="/pay"}' }, { labelled: 4 }],
  [
    'the lack of that label',
    { selector: `{service_name="${SERVICE}",route=""}` },
    { plain: 1, named: 2, span: 8, trace: 16, none: 32 },
  ],
])('by %s', async (_, narrowed, expected) => {
  expect(await leaves(narrowed)).toEqual(expected);
});

test('by times finer than a minute', async () => {
  expect(await leaves({}, [100, 200])).toEqual({ plain: 1, named: 2 });
  expect(await leaves({}, [201, 300])).toEqual({ labelled: 4 });
  expect(await leaves({}, [301, 399])).toEqual({});
});
