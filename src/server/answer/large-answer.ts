import { pipeline, Readable } from 'node:stream';
import { createGzip } from 'node:zlib';
import type { DescMessage } from '@bufbuild/protobuf';
import type { UniversalServerResponse } from '@connectrpc/connect/protocol';
import { TephraError } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';
import type { EncodedAnswer } from '../../query/request.ts';
import { answerBytes, answerSlices, slicesOf } from './answer.ts';
import { canSliceJson, jsonSlices } from './json-slices.ts';
import type { RpcFormat } from '../body/rpc-body.ts';

/** Parts of a body, each made when it is asked for. */
type Slices = Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

/** An answer that is written in slices, past the library. */
export interface LargeAnswer {
  /** Undefined if it is not known before the last slice is made. */
  readonly bytes: number | undefined;
  readonly slices: Slices;
}

/** Bytes in front of a message in an enveloped answer: flags and length. */
const ENVELOPE_BYTES = 5;

/** How an answer is written if it is large enough to be written in slices, undefined if it is not. */
export async function largeAnswer(
  output: DescMessage,
  answer: EncodedAnswer,
  { json, enveloped }: RpcFormat,
): Promise<LargeAnswer | undefined> {
  const { bytes, front } = answer;
  const size = answerBytes(answer);
  if (!json) {
    if (front !== undefined) return { bytes: size, slices: answerSlices(answer) };
    return size < LIMITS.slicedAnswerBytes ? undefined : { bytes: size, slices: slicesOf(bytes) };
  }
  if (front === undefined && size < LIMITS.slicedJsonBytes) return undefined;
  if (!canSliceJson(output)) return undefined;
  // An envelope has the length in front: of what is on disk it is counted, of what is in memory not.
  if (enveloped && front === undefined) return undefined;
  const length = enveloped ? await jsonBytes(output, answer) : undefined;
  return { bytes: length, slices: jsonSlices(output, answer) };
}

/** Bytes of an answer on disk as JSON: all of it is written for that, and dropped. */
async function jsonBytes(output: DescMessage, { bytes, front }: EncodedAnswer): Promise<number> {
  if (front === undefined) return 0;
  let length = 0;
  for await (const slice of jsonSlices(output, { bytes, front: { ...front, close: () => {} } })) {
    length += slice.byteLength;
  }
  if (length >= 2 ** 32) {
    throw new TephraError(
      'query_limit',
      `an answer of ${length} bytes, more than an envelope holds`,
    );
  }
  return length;
}

/** The slices compressed on the way, about one ahead of what is read. */
export function gzipped(slices: Slices): AsyncIterable<Uint8Array> {
  const gzip = createGzip({ level: 1 });
  // It destroys each end with the other; who iterates hears of an error from there.
  pipeline(Readable.from(slices, { highWaterMark: 1 }), gzip, () => {});
  return gzip;
}

/** The answer with these slices as its body, compressed on the way if the client takes gzip. */
export function withLarge(
  result: UniversalServerResponse,
  { bytes, slices }: LargeAnswer,
  { enveloped, json }: Pick<RpcFormat, 'enveloped' | 'json'>,
  isPacked: boolean,
): UniversalServerResponse {
  const header = new Headers(result.header);
  header.delete('content-length');
  if (enveloped) {
    const emptyBytes = json ? '{}'.length : 0;
    return { ...result, header, body: inEnvelope(result, bytes ?? 0, slices, emptyBytes) };
  }
  if (isPacked) {
    header.set('content-encoding', 'gzip');
    return { ...result, header, body: gzipped(slices) };
  }
  if (bytes !== undefined) header.set('content-length', String(bytes));
  return { ...result, header, body: asyncOf(slices) };
}

/** The library's body, an empty message and perhaps trailers, with the message in its place. */
async function* inEnvelope(
  { body }: UniversalServerResponse,
  bytes: number,
  slices: Slices,
  emptyBytes: number,
): AsyncGenerator<Uint8Array> {
  const envelope = new Uint8Array(ENVELOPE_BYTES);
  new DataView(envelope.buffer).setUint32(1, bytes);
  yield envelope;
  yield* slices;
  let skipped = 0;
  for await (const chunk of body ?? []) {
    const skip = Math.min(ENVELOPE_BYTES + emptyBytes - skipped, chunk.byteLength);
    skipped += skip;
    if (skip < chunk.byteLength) yield chunk.subarray(skip);
  }
}

async function* asyncOf(slices: Slices): AsyncGenerator<Uint8Array> {
  await Promise.resolve();
  yield* slices;
}
