import { gunzipSync } from 'node:zlib';
import { isErrno, isErrorLike, TephraError } from '../../base/errors.ts';

/** A request's own gzip, and the gzip of the profile inside it. */
const LAYERS_MAX = 2;
/** The trailer's size is believed up to this ratio; a bomb's first buffer is bounded by it. */
const RATIO_BELIEVED = 32;
const CHUNK_BYTES_LEAST = 4_096;

/**
 * The bytes of a payload without its gzip layers (told by the magic bytes, never by headers; at
 * most two). What is not gzip is returned as it is, without a copy. All layers together may give
 * `maxBytes`. Throws `decompressed_size`, `malformed_gzip`, `nested_compression`.
 */
export function inflatePayload(bytes: Uint8Array, maxBytes: number): Uint8Array {
  let layer = bytes;
  let left = maxBytes;
  for (let depth = 0; isGzip(layer); depth++) {
    if (depth === LAYERS_MAX) {
      throw new TephraError('nested_compression', `more than ${LAYERS_MAX} layers of gzip`);
    }
    layer = gunzip(layer, left, maxBytes);
    left -= layer.byteLength;
  }
  if (layer.byteLength > maxBytes) failSize(maxBytes);
  return layer;
}

/** Whether `bytes` begin like a gzip member. No pprof does: 0x1f is a tag of an illegal type. */
export function isGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

/** One layer, of one or several members. */
function gunzip(bytes: Uint8Array, left: number, maxBytes: number): Uint8Array {
  if (left <= 0) failSize(maxBytes);
  try {
    const output = gunzipSync(bytes, {
      // One byte more than the output: a buffer that is exactly full makes zlib ask for another.
      chunkSize: Math.min(expectedBytes(bytes), left) + 1,
      maxOutputLength: left,
    });
    return new Uint8Array(output.buffer, output.byteOffset, output.byteLength);
  } catch (thrown) {
    if (isErrno(thrown, 'ERR_BUFFER_TOO_LARGE')) failSize(maxBytes);
    throw damaged(thrown);
  }
}

/** The error `malformed_gzip` for what zlib threw. */
export function damaged(thrown: unknown): TephraError {
  const why = isErrorLike(thrown) ? thrown.message : String(thrown);
  const detail = why === 'unexpected end of file' ? 'truncated' : why;
  return new TephraError('malformed_gzip', detail, { cause: thrown });
}

/** Output size by the trailer of the last member: a hint, chosen by the sender, so bounded. */
function expectedBytes(bytes: Uint8Array): number {
  const end = bytes.byteLength;
  if (end < 18) return CHUNK_BYTES_LEAST;
  const view = new DataView(bytes.buffer, bytes.byteOffset, end);
  const believed = Math.min(view.getUint32(end - 4, true), end * RATIO_BELIEVED);
  return Math.max(believed, CHUNK_BYTES_LEAST);
}

function failSize(maxBytes: number): never {
  throw new TephraError('decompressed_size', `more than ${maxBytes} bytes`);
}
