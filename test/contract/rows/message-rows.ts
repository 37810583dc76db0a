/**
 * Rows 1 to 15 and 46 to 51 of the catalogue of bad inputs, where what is bad is the request itself: its
 * protobuf, its JSON, its frame or its compression.
 */
import { gzipSync } from 'node:zlib';
import { Code } from '@connectrpc/connect';
import type { Reason } from '../../../src/base/errors.ts';
import { repeated, smallPprof } from '../../support/small-pprof.ts';
import { WireBuilder } from '../../support/wire-builder.ts';
import { bomb, cut } from './gzip.ts';
import type { PushCall } from './push-bench.ts';
import { frame, type Extra } from './raw-ways.ts';

/** One input of a row. */
export interface MessageRow {
  /** Number in the catalogue. */
  readonly row: number;
  readonly what: string;
  /** What is sent in place of `good`, a request with one profile that is fine. */
  readonly bytes: (good: Uint8Array, call: PushCall, entry: string) => Uint8Array;
  readonly extra?: (good: Uint8Array) => Extra;
  /** The ways on which this input exists. */
  readonly on: 'proto' | 'json' | 'framed' | 'web' | 'all' | 'few';
  /** Why it is refused, and what the message says; else it is stored. */
  readonly refused?: readonly [Reason, RegExp];
  /** INVALID_ARGUMENT, unless it is another. */
  readonly code?: Code;
  /** Status of HTTP on Connect, unless it follows from the code. */
  readonly http?: number;
  /** Codes that libraries below us answer, in place of ours. */
  readonly orCodes?: readonly Code[];
  /** Why our rule is not the catalogue's. */
  readonly why?: string;
  /** Something small that unfolds: what is allocated for it is bounded. */
  readonly bomb?: true;
}

const behind =
  (...bytes: number[]) =>
  (good: Uint8Array): Uint8Array =>
    Buffer.concat([good, Buffer.from(bytes)]);
const lengthOf = (count: number | bigint): number[] => [
  ...new WireBuilder().varint(count).finish(),
];
const MALFORMED = 'malformed_protobuf';
const malformed = (
  row: number,
  what: string,
  bytes: MessageRow['bytes'],
  says: RegExp,
): MessageRow => ({ row, what, bytes, on: 'proto', refused: [MALFORMED, says] });
/** A series, or profile, with one label: the name is these bytes, the value is "x". */
const labelled = (name: readonly number[]): Uint8Array =>
  new WireBuilder().message(1, (s) => s.message(1, (l) => l.bytes(1, name).text(2, 'x'))).finish();
const replaced = (good: Uint8Array, from: string, to: string): Uint8Array =>
  Buffer.from(Buffer.from(good).toString().replace(from, to));
const gz = (bytes: Uint8Array): Uint8Array => gzipSync(bytes);
const gzipped = (): Extra => ({ encoding: 'gzip' });

/** See above. */
export const MESSAGE_ROWS: readonly MessageRow[] = [
  malformed(1, 'a cut varint', behind(0x0a, 0x80), /truncated varint at byte \d+/),
  malformed(
    2,
    'a varint of 11 bytes',
    behind(0x0a, ...Array.from({ length: 10 }, () => 0x80), 1),
    /varint longer than 10 bytes/,
  ),
  malformed(3, 'a length past the end', behind(0x0a, 5, 1), /length 5 exceeds remaining 1/),
  malformed(
    4,
    'a length of 2^32 - 1',
    behind(0x0a, ...lengthOf(2 ** 32 - 1)),
    /length 4294967295 exceeds remaining 0/,
  ),
  malformed(
    4,
    'a length of 2^63',
    behind(0x0a, ...lengthOf(2n ** 63n)),
    /length 9223372036854775808 exceeds/,
  ),
  malformed(5, 'wire type 6', behind(0x0e), /wire type 6/),
  malformed(5, 'wire type 7', behind(0x0f), /wire type 7/),
  malformed(6, 'field number 0', behind(0, 0), /field number 0/),
  malformed(7, 'a group that does not end', behind(0x0b), /groups are not supported/),
  malformed(
    7,
    '100,000 nested groups',
    (good) => Buffer.concat([good, repeated([0x0b], 100_000)]),
    /groups are not supported/,
  ),
  {
    row: 8,
    what: '100 messages one in the other',
    bytes: (good) => {
      let inner: Uint8Array = new Uint8Array();
      for (let i = 0; i < 100; i++) inner = new WireBuilder().bytes(99, inner).finish();
      return Buffer.concat([good, inner]);
    },
    on: 'proto',
    why: 'no request holds a message of its own kind; unknown ones are skipped unread',
  },
  {
    row: 8,
    what: '65 levels of JSON',
    bytes: (good) => replaced(good, '{', `{"x":${'['.repeat(65)}${']'.repeat(65)},`),
    on: 'json',
    refused: ['nesting_too_deep', /more than 64 levels/],
    why: 'JSON is cut at 64 levels (row 102)',
  },
  malformed(
    9,
    'a number where the list of messages is',
    behind(0x08, 1),
    /(series|profiles)\[1\] must not have wire type 0/,
  ),
  { row: 10, what: 'unknown fields', bytes: behind(0x98, 6, 1, 0x9a, 6, 1, 0x78), on: 'proto' },
  {
    row: 10,
    what: 'unknown fields',
    bytes: (good) => replaced(good, '{', '{"future":[1,{"a":"b"}],'),
    on: 'json',
  },
  {
    row: 11,
    what: '2 M unknown fields',
    bytes: (good) => gz(Buffer.concat([good, repeated([0x78, 0], 2_000_000)])),
    extra: gzipped,
    on: 'proto',
    refused: ['too_many_fields', /more than 65536 unknown fields/],
    bomb: true,
  },
  {
    row: 11,
    what: '2 M empty messages',
    bytes: (good) => gz(Buffer.concat([good, repeated([0x0a, 0], 2_000_000)])),
    extra: gzipped,
    on: 'proto',
    refused: ['too_many_fields', /more than 262144 fields/],
    bomb: true,
    why: 'known fields cost as much as unknown ones; a push has some hundred a profile',
  },
  {
    row: 11,
    what: '2 M empty messages',
    bytes: (_, { service }) =>
      gz(
        Buffer.from(
          `{"${service === 'push' ? 'series' : 'profiles'}":[{}${',{}'.repeat(2_000_000)}]}`,
        ),
      ),
    extra: gzipped,
    on: 'json',
    refused: ['too_many_fields', /more than 262144 values/],
    bomb: true,
  },
  {
    row: 12,
    what: 'an empty message',
    bytes: () => new Uint8Array(),
    on: 'proto',
    refused: ['empty_request', /no profiles/],
  },
  {
    row: 12,
    what: 'an empty message',
    bytes: () => Buffer.from('{}'),
    on: 'json',
    refused: ['empty_request', /no profiles/],
  },
  {
    row: 13,
    what: 'a field twice that a message has once',
    bytes: (_, call, entry) => twice(call, entry),
    on: 'proto',
  },
  {
    row: 13,
    what: 'a key twice (JSON has no merging)',
    bytes: (good) => replaced(good, '"value":"good"', '"value":"other","value":"good"'),
    on: 'json',
    refused: ['malformed_json', /duplicate object key "value"/],
  },
  {
    row: 14,
    what: 'a label name that is no UTF-8',
    bytes: (good) => Buffer.concat([good, labelled([0x61, 0xff])]),
    on: 'proto',
    refused: ['invalid_utf8', /(series|profiles)\[1\]\.labels\[0\]\.name/],
  },
  {
    row: 14,
    what: 'JSON that is no UTF-8',
    bytes: (good) =>
      Buffer.from(Buffer.from(good).toString('latin1').replace('"good"', '"\u00ff"'), 'latin1'),
    on: 'json',
    refused: ['invalid_utf8', /JSON/],
  },
  {
    row: 14,
    what: 'half a character, escaped',
    bytes: (good) => replaced(good, '"good"', '"\\ud800"'),
    on: 'json',
    refused: ['malformed_json', /LabelPair\.value|Label\.value/],
  },
  {
    row: 15,
    what: 'two messages',
    bytes: (good) => good,
    extra: (good) => ({ trailing: frame(good) }),
    on: 'framed',
    refused: [MALFORMED, /.*/],
    orCodes: [Code.Unimplemented, Code.Internal],
  },
  {
    row: 15,
    what: 'three bytes behind the message',
    bytes: (good) => good,
    extra: () => ({ trailing: Uint8Array.of(0, 0, 0) }),
    on: 'web',
    refused: [MALFORMED, /bytes/],
    why: 'over HTTP/2 grpc-js drops what is behind the message and is no frame',
  },
  {
    row: 46,
    what: '128 MiB of zeros as the request',
    bytes: () => bomb(128),
    extra: gzipped,
    on: 'few',
    refused: ['body_size_limit', /67108864/],
    http: 413,
    bomb: true,
    why: 'a push over HTTP is 413 with invalid_argument (protocol.md 12)',
  },
  {
    row: 47,
    what: 'a request in two members of gzip',
    bytes: (good) => Buffer.concat([gz(good.subarray(0, 9)), gz(good.subarray(9))]),
    extra: gzipped,
    on: 'all',
  },
  {
    row: 48,
    what: 'a request that is gzip, with a profile that is',
    bytes: gz,
    extra: gzipped,
    on: 'all',
  },
  malformed(48, 'a request that is gzip in gzip', (good) => gz(good), /wire type 7/),
  {
    row: 49,
    what: 'gzip that is cut',
    bytes: (good) => cut(gz(good), 9),
    extra: gzipped,
    on: 'all',
    refused: ['malformed_gzip', /truncated/],
  },
  {
    row: 49,
    what: 'gzip with a wrong checksum',
    bytes: (good) => {
      const bytes = gz(good);
      bytes[bytes.length - 8] = (bytes[bytes.length - 8] as number) ^ 1;
      return bytes;
    },
    extra: gzipped,
    on: 'all',
    refused: ['malformed_gzip', /check/],
  },
  {
    row: 49,
    what: 'garbage behind gzip',
    bytes: (good) => Buffer.concat([gz(good), Buffer.from('garbage')]),
    extra: gzipped,
    on: 'all',
    refused: ['malformed_gzip', /incorrect header check/],
  },
  {
    row: 49,
    what: 'nothing that says gzip',
    bytes: () => new Uint8Array(),
    extra: gzipped,
    on: 'all',
    refused: ['malformed_gzip', /truncated/],
  },
  {
    row: 50,
    what: 'an encoding that is not known',
    bytes: (good) => good,
    extra: () => ({ encoding: 'br' }),
    on: 'all',
    refused: ['unsupported_encoding', /"br".*gzip/],
    code: Code.Unimplemented,
  },
  {
    row: 51,
    what: 'no gzip, but says so',
    bytes: (good) => good,
    extra: gzipped,
    on: 'all',
    refused: ['malformed_gzip', /incorrect header check/],
  },
];

/** A push whose label values and payload come twice each: the last one holds. */
function twice({ service, name }: PushCall, entry: string): Uint8Array {
  const labels = { __name__: 'process_cpu', service_name: entry, role: 'good', way: name };
  return new WireBuilder()
    .message(1, (profile) => {
      for (const [key, value] of Object.entries(labels)) {
        profile.message(1, (label) => label.text(1, 'x').text(1, key).text(2, 'y').text(2, value));
      }
      if (service === 'tephra') profile.text(5, 'x').bytes(5, smallPprof());
      else profile.message(2, (sample) => sample.text(1, 'x').bytes(1, smallPprof()));
    })
    .finish();
}
