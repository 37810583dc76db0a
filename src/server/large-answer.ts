import { Readable } from 'node:stream';
import { createGzip } from 'node:zlib';
import type { DescMessage } from '@bufbuild/protobuf';
import type { UniversalServerResponse } from '@connectrpc/connect/protocol';
import { LIMITS } from '../base/limits.ts';
import { slicesOf } from './answer.ts';
import { canSliceJson, jsonSlices } from './json-slices.ts';
import type { RpcFormat } from './rpc-body.ts';

/** An answer that is written in slices, past the library. */
export interface LargeAnswer {
  /** Undefined if it is not known before the last slice is made. */
  readonly bytes: number | undefined;
  readonly slices: Iterable<Uint8Array>;
}

/** Bytes in front of a message in an enveloped answer: flags and length. */
const ENVELOPE_BYTES = 5;

/** How an answer is written if it is large enough to be written in slices, undefined if it is not. */
export function largeAnswer(
  output: DescMessage,
  bytes: Uint8Array,
  { json, enveloped }: RpcFormat,
): LargeAnswer | undefined {
  const size = bytes.byteLength;
  if (!json) {
    return size < LIMITS.slicedAnswerBytes ? undefined : { bytes: size, slices: slicesOf(bytes) };
  }
  // An envelope needs the length in front, and JSON's is not known.
  if (enveloped || size < LIMITS.slicedJsonBytes || !canSliceJson(output)) return undefined;
  return { bytes: undefined, slices: jsonSlices(output, bytes) };
}

/** The answer with these slices as its body, compressed on the way if the client takes that. */
export function withLarge(
  result: UniversalServerResponse,
  { bytes, slices }: LargeAnswer,
  enveloped: boolean,
  acceptEncoding: string,
): UniversalServerResponse {
  const header = new Headers(result.header);
  header.delete('content-length');
  if (enveloped) return { ...result, header, body: inEnvelope(result, bytes ?? 0, slices) };
  if (/\bgzip\b/.test(acceptEncoding)) {
    header.set('content-encoding', 'gzip');
    const body = Readable.from(slices, { highWaterMark: 1 }).pipe(createGzip({ level: 1 }));
    return { ...result, header, body };
  }
  if (bytes !== undefined) header.set('content-length', String(bytes));
  return { ...result, header, body: asyncOf(slices) };
}

/** The library's body, an empty message and perhaps trailers, with the message in its place. */
async function* inEnvelope(
  { body }: UniversalServerResponse,
  bytes: number,
  slices: Iterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const envelope = new Uint8Array(ENVELOPE_BYTES);
  new DataView(envelope.buffer).setUint32(1, bytes);
  yield envelope;
  yield* slices;
  let skipped = 0;
  for await (const chunk of body ?? []) {
    const skip = Math.min(ENVELOPE_BYTES - skipped, chunk.byteLength);
    skipped += skip;
    if (skip < chunk.byteLength) yield chunk.subarray(skip);
  }
}

async function* asyncOf(slices: Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  await Promise.resolve();
  yield* slices;
}
