/**
 * The tables of a stream are bounded, each by a limit of its own that `welcome` tells: past it the server asks
 * for a new epoch, takes the same batch there, and refuses what is too much for an empty one.
 */
import { expect, test } from '@jest/globals';
import type { StreamLimits } from '../../src/gen/tephra/v1/stream_pb.ts';
import { TestEncoder, type TestPart } from '../support/stream-agent.ts';
import { samplePart, StreamServer } from '../support/stream-server.ts';

/** A stack of so many functions that no other has. */
const deep = (name: string, depth: number): TestPart[] => [
  samplePart({ [Array.from({ length: depth }, (_, i) => `${name}${i}`).join(';')]: 1 }),
];
/** Stacks of five frames each, from two functions: many stacks, few other rows. */
const wide = (from: number, count: number): TestPart[] => {
  const stacks = Array.from({ length: count }, (_, i) =>
    (from + i).toString(2).padStart(5, '0').replaceAll(/\B/g, ';'),
  );
  return [samplePart(Object.fromEntries(stacks.map((stack) => [stack, 1])))];
};
const series = (pod: string, count: number): TestPart[] =>
  Array.from({ length: count }, (_, i) =>
    samplePart({ main: 1 }, { labels: [['pod', `${pod}${i}`]] }),
  );
const long = (letter: string, bytes: number): TestPart[] => [
  samplePart({ [letter.repeat(bytes)]: 1 }),
];

/** Of three batches the second finds no room beside the first, and the third none in an empty epoch. */
const BOUNDS: readonly (readonly [
  limit: string,
  field: string,
  value: number,
  told: (limits: StreamLimits) => number | bigint | undefined,
  batches: readonly TestPart[][],
])[] = [
  [
    'streamStringsMax',
    'additions.strings',
    12,
    ({ rows }) => rows?.strings,
    [deep('a', 9), deep('b', 9), deep('c', 13)],
  ],
  [
    'streamFramesMax',
    'additions.frames',
    12,
    ({ rows }) => rows?.frames,
    [deep('a', 9), deep('b', 9), deep('c', 13)],
  ],
  [
    'streamStacksMax',
    'additions.stack_parent',
    24,
    ({ rows }) => rows?.stacks,
    [wide(0, 8), wide(16, 8), wide(0, 32)],
  ],
  [
    'streamSeriesMax',
    'additions.series',
    5,
    ({ rows }) => rows?.series,
    [series('a', 4), series('b', 4), series('c', 6)],
  ],
  [
    'streamTextBytesMax',
    'additions.strings',
    2_000,
    ({ textBytes }) => textBytes,
    [long('a', 1_200), long('b', 1_200), long('c', 2_100)],
  ],
];

const samplesOf = (parts: readonly TestPart[] = []): number =>
  parts.reduce((sum, { samples }) => sum + samples.length, 0);

test.each(BOUNDS)('%s ends the epoch, and names %s', async (limit, field, value, told, batches) => {
  const server = await StreamServer.start({}, { [limit]: value });
  const { call, welcome } = await server.opened('bounded');
  expect(Number(welcome.limits === undefined ? 0 : told(welcome.limits))).toBe(value);
  let epoch = 1;
  let encoder = new TestEncoder(epoch);
  /** Sends a batch, in new epochs as often as the server asks; how often that was. */
  const send = async (sequence: number, parts: readonly TestPart[]): Promise<number> => {
    for (let asked = 0; ; asked++) {
      call.stream.write(encoder.batch(sequence, parts));
      const answer = await call.until(() =>
        call.acks.find(
          ({ settled, epochEnd }) =>
            epochEnd?.epoch === epoch || (settled >= BigInt(sequence) && epochEnd === undefined),
        ),
      );
      if (answer.epochEnd !== undefined) {
        expect(answer.epochEnd).toMatchObject({
          reason: 'stream_limit',
          message: expect.stringContaining(`${field}: `),
        });
        encoder = new TestEncoder(++epoch);
      }
      if (answer.settled >= BigInt(sequence)) return asked;
    }
  };
  const [first, second, third = []] = batches;
  expect(await send(1, first ?? [])).toBe(0);
  expect(await send(2, second ?? [])).toBe(1);
  expect(await send(3, third)).toBeGreaterThan(0);
  const refused = call.acks.flatMap((ack) => ack.refused);
  expect(refused).toMatchObject([{ sequence: 3n, reason: 'stream_limit', field }]);
  await send(4, [samplePart({ main: 1 })]);
  call.stream.end();
  expect(await call.ended()).toMatchObject({ code: 0 });
  const { total } = await server.merged('{service_name="bounded"}');
  expect(Number(total)).toBe(samplesOf(first) + samplesOf(second) + 1);
  await server.stop();
});
