import { isDeepStrictEqual } from 'node:util';
import { create, toBinary } from '@bufbuild/protobuf';
import { seededRandom } from '../../src/base/random.ts';
import { LIMITS } from '../../src/base/limits.ts';
import { StreamRequestSchema } from '../../src/gen/tephra/v1/stream_pb.ts';
import { ScopeRefs } from '../../src/ingest/stream/scope-refs.ts';
import { createStreamReaders } from '../../src/ingest/stream/stream-shard.ts';
import { StreamTables } from '../../src/ingest/stream/tables.ts';
import { FieldError } from '../../src/profile/stream/field-error.ts';
import { Cursor, failWire } from '../../src/profile/pprof/wire.ts';
import { decodeEntries } from '../../src/storage/column/decode.ts';
import type { Entries } from '../../src/storage/column/entries.ts';
import { Dictionary } from '../../src/storage/dictionary/dictionary.ts';
import { FRAME_INLINED, NO_FUNCTION, NO_PARENT } from '../../src/storage/dictionary/rows.ts';
import type { FragmentPush, PushGroup } from '../../src/storage/fragment/encode.ts';
import { CPU, SAMPLES } from '../support/stream-server.ts';
import { TestEncoder } from '../support/stream-agent.ts';
import {
  bareFrame,
  capped,
  NaiveStream,
  spanKey,
  stackKey,
  type PartSums,
} from './naive-stream.ts';
import type { Target } from './targets.ts';
import { shapeOf } from './wire-tree.ts';

/** Small: mutants reach them. */
const ROWS = { strings: 16, frames: 10, stacks: 14, series: 4 };
const STREAM_LIMITS = { rows: ROWS, textBytes: 400, parts: 4, entries: 12 };
const LABELS = [['service_name', 'shop']] as const;
const START_MS = Date.UTC(2026, 2, 14);
/** Inputs that share a dictionary. */
const INPUTS_A_SCOPE = 500;

/**
 * The readers of a stream's batches, with its tables, up to the push that is stored. An input is a message of
 * requests in field 1: batches of one stream, in order. What is accepted has the sums that a naive reader finds.
 */
export function streamTarget(): Target {
  const readers = createStreamReaders();
  const random = seededRandom(1);
  let dictionary = new Dictionary(random);
  let inputs = 0;
  return {
    seeds: [...simpleSeeds(), wildSeed()],
    words: [
      'main',
      '',
      'pod',
      'process_cpu:cpu:nanoseconds:cpu:nanoseconds',
      ':',
      '\u00e9',
      '\ufeff',
      'x'.repeat(300),
    ],
    shape: new Map([[1, () => shapeOf(StreamRequestSchema)]]),
    run: (input) => {
      if (++inputs % INPUTS_A_SCOPE === 0) dictionary = new Dictionary(random);
      const { batch, additions, part, builder } = readers;
      let tables = new StreamTables(LABELS, STREAM_LIMITS);
      let refs = new ScopeRefs();
      let naive = new NaiveStream();
      let epoch = 0;
      for (const request of requestsOf(input)) {
        batch.read(request);
        if (batch.epoch !== epoch) {
          ({ epoch } = batch);
          tables = new StreamTables(LABELS, STREAM_LIMITS);
          refs = new ScopeRefs();
          naive = new NaiveStream();
        }
        let hasKnownRows = false;
        if (batch.additionsAt !== batch.additionsEnd) {
          additions.read(request, batch.additionsAt, batch.additionsEnd);
          const full = tables.fullFor(additions);
          if (full !== undefined) throw full;
          hasKnownRows = additions.firstString <= tables.rows.strings;
          tables.add(request, additions);
        }
        if (batch.partAt.length > STREAM_LIMITS.parts) {
          throw new FieldError('stream_limit', 'parts', 'too many');
        }
        const found: (FragmentPush | undefined)[] = [];
        const starts: number[][] = [];
        for (let i = 0; i < batch.partAt.length; i++) {
          const [at, end] = [batch.partAt.array[i] as number, batch.partEnd.array[i] as number];
          const peeked = part.peekStart(request, at, end);
          part.read(request, at, end, i);
          if (part.stacks.length > STREAM_LIMITS.entries) {
            throw new FieldError('stream_limit', part.field('stack_delta'), 'too many');
          }
          starts.push([peeked, part.startMs]);
          found.push(builder.build(part, new Uint8Array(16), { tables, refs, dictionary })?.push);
        }
        checkParts(found, starts, takeNaively(naive, request, hasKnownRows), dictionary);
      }
      checkMemory(input, tables, refs);
    },
  };
}

/** Rows that are there are skipped unread, and the generated decoder reads them: texts may be bad there alone. */
function takeNaively(naive: NaiveStream, request: Uint8Array, hasKnownRows: boolean): PartSums[] {
  try {
    return naive.take(request);
  } catch (thrown) {
    if (!hasKnownRows || !String(thrown).includes('not valid for encoding utf-8')) throw thrown;
    throw new FieldError('invalid_utf8', 'additions.strings', 'of rows that are there');
  }
}

function checkParts(
  found: readonly (FragmentPush | undefined)[],
  starts: readonly (readonly number[])[],
  expected: readonly PartSums[],
  dictionary: Dictionary,
): void {
  for (const [i, { startMs, durationMs, profileId, sums }] of expected.entries()) {
    // The day of a part is looked for before it is read.
    same('the time of a part', starts[i], [startMs, startMs]);
    const push = found[i];
    if (push === undefined) {
      same('a part that holds nothing', sums.size, 0);
      continue;
    }
    const head = [push.startMs, push.durationMs, push.profileId];
    same('the head of a part', head, [startMs, durationMs, profileId]);
    same('the sums of a part', sumsOf(push, dictionary), sums);
    for (const [t, { total }] of push.types.entries()) {
      let sum = 0n;
      for (const values of sums.values()) sum += values[t] as bigint;
      same('the total of a part', capped(total), capped(sum));
    }
  }
  same('parts', found.length, expected.length);
}

function sumsOf({ groups, types }: FragmentPush, dictionary: Dictionary): Map<string, bigint[]> {
  const sums = new Map<string, bigint[]>();
  for (const group of groups) {
    const { stacks, ticks } = entriesOf(group);
    for (const [i, stack] of stacks.entries()) {
      const frames = framesOf(stack, dictionary);
      const key = stackKey(spanKey(group.spanId, group.traceId), frames);
      const before = sums.get(key);
      const values = types.map(({ column, grain }, t) => {
        const value = BigInt(ticks[column]?.[i] as number | bigint) * grain;
        return capped((before?.[t] ?? 0n) + value);
      });
      sums.set(key, values);
    }
  }
  return sums;
}

function entriesOf({ entries }: PushGroup): Entries {
  if ('stacks' in entries) return entries;
  return decodeEntries(entries.bytes, entries.at, entries.end);
}

function framesOf(stack: number, dictionary: Dictionary): string[] {
  const frames: string[] = [];
  let node = dictionary.stackNode[stack] as number;
  for (; node !== NO_PARENT; node = dictionary.nodeParent[node] as number) {
    frames.unshift(frameText(dictionary.nodeFrame[node] as number, dictionary));
  }
  return frames;
}

function frameText(frame: number, dictionary: Dictionary): string {
  const row = dictionary.frameRow(frame);
  const from = [dictionary.text(row.mappingFile), dictionary.text(row.buildId)] as const;
  if (row.fn === NO_FUNCTION) {
    const address = (BigInt(row.addressHigh >>> 0) << 32n) | BigInt(row.addressLow >>> 0);
    return bareFrame(...from, String(address));
  }
  const fn = dictionary.functionRow(row.fn);
  return [
    dictionary.text(fn.name),
    dictionary.text(fn.systemName),
    dictionary.text(fn.file),
    fn.startLine,
    row.line,
    row.column,
    ...from,
    (row.flags & FRAME_INLINED) === 0 ? '' : 'inlined',
  ].join('|');
}

/** Tables are as large as what came, not as the numbers in it say. */
function checkMemory(input: Uint8Array, tables: StreamTables, refs: ScopeRefs): void {
  const bytes = tables.bytesInMemory + refs.bytesInMemory;
  if (bytes > 16_384 + 512 * input.byteLength) throw new Error(`${bytes} bytes of tables`);
}

function same(what: string, found: unknown, expected: unknown): void {
  if (isDeepStrictEqual(found, expected)) return;
  throw new Error(`${what}: ${shown(found)}, a naive reader finds ${shown(expected)}`);
}

function shown(value: unknown): string {
  const plain = value instanceof Map ? [...value] : value;
  const text = JSON.stringify(plain, (_, one) => (typeof one === 'bigint' ? `${one}n` : one));
  return text.slice(0, 400);
}

function requestsOf(input: Uint8Array): Uint8Array[] {
  const cursor = new Cursor(LIMITS.unknownFieldsMax);
  const requests: Uint8Array[] = [];
  for (let at = 0; at < input.byteLength;) {
    if (cursor.tag(input, at, input.byteLength) !== 10) failWire('no request');
    const end = cursor.span(input, cursor.at, input.byteLength);
    requests.push(input.slice(cursor.at, end));
    at = end;
  }
  return requests;
}

function inputOf(requests: readonly Uint8Array[]): Uint8Array {
  const pieces = requests.flatMap((request) => {
    const size = request.byteLength;
    return [Uint8Array.of(10, (size & 0x7f) | 0x80, size >>> 7), request];
  });
  return new Uint8Array(Buffer.concat(pieces));
}

/** What agents send: rows once, then references; two types of one column. */
function simpleSeeds(): Uint8Array[] {
  const samples = ['main;a', 'main;b', 'main;a;c', 'main'].map((stack, i) => ({
    stack,
    values: [i + 1],
  }));
  const part = {
    types: [SAMPLES, CPU],
    periods: [0n, 10_000_000n],
    startMs: START_MS,
    durationMs: 1_000,
    typeColumn: [0, 0],
    typeScale: [1n, 10_000_000n],
    samples,
  };
  const encoder = new TestEncoder(1);
  const first = encoder.batch(1, [part, { ...part, samples: samples.slice(0, 2) }]);
  const other = {
    ...part,
    labels: [['pod', 'a']] as const,
    spanId: '00f067aa0ba902b7',
    profileId: 'p-1',
    sampleLabels: [['thread', 'x']] as const,
    samples: [...samples, { stack: 'main;d', values: [7] }],
  };
  const second = encoder.batch(2, [other]);
  return [inputOf([first]), inputOf([first, second])];
}

/** Every field, values of any size, a new epoch. */
function wildSeed(): Uint8Array {
  const additions = {
    firstString: 1,
    strings: ['main', 'a.go', 'lib.so', 'beef', 'label', 'value', '_main'],
    firstFrame: 1,
    frames: {
      function: [1, 1, 0, 2],
      file: [2, 2, 0, 0],
      line: [3, 300, 0, 1],
      systemName: [7, 0, 0, 0],
      startLine: [1, 1, 0, 0],
      column: [0, 4, 0, 0],
      mappingFile: [0, 0, 3, 3],
      buildId: [0, 0, 4, 4],
      address: [0n, 5n, 0x7fff_1234_5678n, 9n],
      inlined: [0, 1, 0, 0],
    },
    firstStack: 1,
    stackParent: [0, 1, 2, 0, 4],
    stackFrame: [1, 2, 3, 3, 4],
    firstSeries: 1,
    series: [
      {
        labels: [{ name: 'pod', value: 'a' }],
        types: [{ profileType: CPU, period: 10n }, { profileType: SAMPLES }],
      },
    ],
  };
  const wide = {
    series: 1,
    startMs: BigInt(START_MS),
    durationMs: 10,
    stackDelta: [5, -3, 0, 1, -3],
    values: [1n << 60n, 4n, 6n, 1n << 53n, 9n, 1n, 2n, 3n, 0n, 5n],
    profileId: 'id',
    labelName: [5],
    labelValue: [6],
    spans: [
      { spanId: new Uint8Array(8).fill(7), traceId: new Uint8Array(16).fill(8), entries: 2 },
      { entries: 1 },
      { spanId: new Uint8Array(8), entries: 1 },
    ],
  };
  const flat = {
    series: 1,
    startMs: BigInt(START_MS + 86_400_000),
    stackDelta: [1, 1, 1, 1],
    values: [70n, 20n, 300n, 4_000_000_000n],
    typeColumn: [0, 0],
    typeScale: [10n, 1n],
  };
  const request = (sequence: bigint, epoch: number, more: object): Uint8Array =>
    toBinary(
      StreamRequestSchema,
      create(StreamRequestSchema, {
        message: { case: 'batch', value: { sequence, epoch, ...more } },
      }),
    );
  return inputOf([
    request(1n, 1, { additions, parts: [wide, flat] }),
    request(2n, 1, {
      parts: [{ ...flat, typeColumn: [], values: [...flat.values, 1n, 2n, 3n, 4n] }],
    }),
    request(3n, 2, { additions, parts: [flat] }),
  ]);
}
