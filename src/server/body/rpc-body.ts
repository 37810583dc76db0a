import { isUtf8 } from 'node:buffer';
import type { DescMessage, Message } from '@bufbuild/protobuf';
import { fromBinary, fromJsonString } from '@bufbuild/protobuf';
import { isErrorLike, TephraError } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';
import { inflateHeld, type HeldBody } from './body.ts';
import { scanMessage } from './message-scan.ts';

/** How a content type lays out a request. */
export interface RpcFormat {
  /** One message without a frame, or messages with five bytes in front. */
  readonly enveloped: boolean;
  readonly json: boolean;
  /** The header that names the compression. */
  readonly encodingHeader: string;
  /** Refusals are told in trailers, with HTTP status 200. */
  readonly isGrpc: boolean;
}

const PREFIX_BYTES = 5;
const COMPRESSED_FLAG = 1;

/**
 * The format of a content type, undefined for one that no RPC has.
 *
 * Sources: https://connectrpc.com/docs/protocol/,
 * https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md.
 */
export function rpcFormat(contentType: string | null | undefined): RpcFormat | undefined {
  const match = /^application\/(connect\+|grpc-web\+?|grpc\+?)?(proto|json)?\s*(;|$)/i.exec(
    contentType ?? '',
  );
  if (match === null) return undefined;
  const family = match[1]?.toLowerCase() ?? '';
  const codec = match[2]?.toLowerCase();
  if (codec === undefined && (family === '' || family.endsWith('+'))) return undefined;
  const json = codec === 'json';
  if (family === '') {
    return { enveloped: false, json, encodingHeader: 'content-encoding', isGrpc: false };
  }
  if (family === 'connect+') {
    return { enveloped: true, json, encodingHeader: 'connect-content-encoding', isGrpc: false };
  }
  return { enveloped: true, json, encodingHeader: 'grpc-encoding', isGrpc: true };
}

/**
 * Takes the one message out of a body: out of its frame, if it has one, and inflated, if the encoding
 * says so. Throws `malformed_protobuf` for a broken frame or none, `unsupported_encoding`, and as
 * {@link inflateHeld} does; the credits are given back then.
 */
export async function messageOf(
  body: HeldBody,
  format: RpcFormat,
  encoding: string,
  bodyBytesMax: number,
): Promise<HeldBody> {
  try {
    const framed = format.enveloped ? unframe(body.bytes) : { message: body.bytes, flag: true };
    const message = { ...body, bytes: framed.message };
    if (!framed.flag || encoding === '' || encoding === 'identity') return message;
    if (encoding !== 'gzip') {
      const found = JSON.stringify(encoding.slice(0, 32));
      throw new TephraError('unsupported_encoding', `${found}; gzip and identity are read`);
    }
    return await inflateHeld(message, encoding, bodyBytesMax);
  } catch (thrown) {
    body.hold.release();
    throw thrown;
  }
}

function unframe(body: Uint8Array): { message: Uint8Array; flag: boolean } {
  if (body.byteLength < PREFIX_BYTES) {
    const found = `${body.byteLength} bytes`;
    throw new TephraError('malformed_protobuf', `a frame has 5 bytes in front, found ${found}`);
  }
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const flags = view.getUint8(0);
  const size = view.getUint32(1);
  const message = body.subarray(PREFIX_BYTES);
  if (size !== message.byteLength) {
    // Two messages on a call that takes one, too: whatever follows is not the first one's.
    const found = `the frame says ${size} bytes, ${message.byteLength} follow`;
    throw new TephraError('malformed_protobuf', found);
  }
  if ((flags & ~COMPRESSED_FLAG) !== 0) {
    throw new TephraError('malformed_protobuf', `a frame with flags ${flags}`);
  }
  return { message, flag: flags === COMPRESSED_FLAG };
}

/** A frame around `bytes`, not compressed. */
export function envelopeOf(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const framed = new Uint8Array(PREFIX_BYTES + bytes.byteLength);
  new DataView(framed.buffer).setUint32(1, bytes.byteLength);
  framed.set(bytes, PREFIX_BYTES);
  return framed;
}

/** Reads a binary message. Throws `malformed_protobuf`, `invalid_utf8`, `too_many_fields`. */
export function decodeMessage(input: DescMessage, bytes: Uint8Array): Message {
  scanMessage(input, bytes);
  try {
    return fromBinary(input, bytes, { readUnknownFields: false });
  } catch (error) {
    const text = isErrorLike(error) ? error.message : String(error);
    throw new TephraError('malformed_protobuf', `${input.typeName}: ${text}`);
  }
}

/**
 * Reads a message in JSON; fields and names that are not known are left out. Throws `malformed_json`, and as
 * {@link checkJson} does.
 */
export function decodeJson(input: DescMessage, bytes: Uint8Array): Message {
  checkJson(bytes);
  try {
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
    return fromJsonString(input, text, { ignoreUnknownFields: true });
  } catch (error) {
    throw new TephraError('malformed_json', isErrorLike(error) ? error.message : String(error));
  }
}

/**
 * Checks before JSON is parsed that it is text, not nested beyond what any message needs, and no flood
 * of small values. Throws `invalid_utf8`, `nesting_too_deep`, `too_many_fields`.
 */
function checkJson(bytes: Uint8Array): void {
  if (!isUtf8(bytes)) throw new TephraError('invalid_utf8', 'the body is JSON that is no UTF-8');
  const quote = 0x22;
  const backslash = 0x5c;
  let depth = 0;
  let values = 0;
  let inText = false;
  for (let at = 0; at < bytes.byteLength; at++) {
    const byte = bytes[at] as number;
    if (inText) {
      if (byte === backslash) at++;
      else if (byte === quote) inText = false;
    } else if (byte === quote) {
      inText = true;
    } else if (byte === 0x2c) {
      if (++values > LIMITS.requestFieldsMax) {
        throw new TephraError('too_many_fields', `more than ${LIMITS.requestFieldsMax} values`);
      }
    } else if (byte === 0x7b || byte === 0x5b) {
      if (++depth > LIMITS.jsonDepthMax) {
        throw new TephraError(
          'nesting_too_deep',
          `more than ${LIMITS.jsonDepthMax} levels of JSON`,
        );
      }
    } else if (byte === 0x7d || byte === 0x5d) {
      depth--;
    }
  }
}
