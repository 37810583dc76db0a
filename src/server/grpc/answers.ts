import { promisify } from 'node:util';
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { gzip } from 'node:zlib';
import { Metadata } from '@grpc/grpc-js';
import { LIMITS } from '../../base/limits.ts';
import { STREAM_NAME } from '../stream/hub.ts';

/** Streams of calls whose client takes compressed answers. */
const takers = new WeakSet<ServerHttp2Stream>();
const compress = promisify(gzip);
const PREFIX_BYTES = 5;

/**
 * Remembers whether the client of this call takes gzip, as the library forgets it. Answers of sample streams
 * are small and are never compressed.
 */
export function noteAcceptedEncoding(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
): void {
  if (headers[':path'] === `/${STREAM_NAME}`) return;
  const accepted = [headers['grpc-accept-encoding'] ?? []].flat().join(',');
  if (accepted.split(',').some((name) => name.trim() === 'gzip')) takers.add(stream);
}

/** The headers of the answer to this call, which say gzip if its client takes that. */
export function withEncoding(
  stream: ServerHttp2Stream,
  metadata: Metadata | null,
): Metadata | null {
  if (!takers.has(stream)) return metadata;
  const all = metadata?.clone() ?? new Metadata();
  all.set('grpc-encoding', 'gzip');
  return all;
}

/** Whether a message of so many bytes is compressed on this call. */
export function isCompressed(stream: ServerHttp2Stream, bytes: number): boolean {
  return bytes >= LIMITS.compressBytesMin && takers.has(stream);
}

/** The message as it is sent: compressed, five bytes in front of it. */
export async function compressedMessage(bytes: Uint8Array): Promise<Buffer> {
  const packed = await compress(bytes, { level: 1 });
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix[0] = 1;
  prefix.writeUInt32BE(packed.byteLength, 1);
  return Buffer.concat([prefix, packed]);
}
