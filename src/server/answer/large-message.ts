import { constants, type ServerHttp2Stream } from 'node:http2';
import type { Metadata } from '@grpc/grpc-js';
import { TephraError } from '../../base/errors.ts';
import { compressedMessage, isCompressed, withEncoding } from '../grpc/answers.ts';

/** Bytes in front of a message: not compressed, and its length. */
const PREFIX_BYTES = 5;

/** A gRPC message that is written in slices, each asked for when the one before is on its way. */
export class LargeMessage {
  readonly byteLength: number;
  readonly slices: Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

  /** To be called in all cases, once the message is sent or will not be. */
  readonly close: () => void;

  /** `slices` together have `byteLength` bytes; `close` gives back what they come from. */
  constructor(
    byteLength: number,
    slices: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
    close: () => void = () => {},
  ) {
    this.byteLength = byteLength;
    this.slices = slices;
    this.close = close;
  }
}

/** What is used of the library's call. */
interface Call {
  readonly stream: ServerHttp2Stream;
  checkCancelled(): boolean;
  maybeSendMetadata(): void;
}

type SendMetadata = (this: Call, metadata: Metadata | null) => void;
type SendMessage = (this: Call, message: unknown, callback: () => void) => void;

/**
 * Teaches the library's class of calls to send a {@link LargeMessage}: as it is, it copies a message to
 * put five bytes in front, and hands it on whole. And to compress other messages for clients that take that,
 * which it does not do. Returns false, and has changed nothing, if the class is not as expected.
 */
export function sendLargeMessages(prototype: Record<string, unknown>): boolean {
  const original = prototype['sendMessage'] as SendMessage | undefined;
  if (typeof original !== 'function' || original.length !== 2) return false;
  if (typeof prototype['checkCancelled'] !== 'function') return false;
  if (typeof prototype['maybeSendMetadata'] !== 'function') return false;
  const headers = prototype['sendMetadata'] as SendMetadata | undefined;
  if (typeof headers !== 'function' || headers.length !== 1) return false;
  prototype['sendMetadata'] = function sendMetadata(this: Call, metadata) {
    headers.call(this, withEncoding(this.stream, metadata));
  } satisfies SendMetadata;
  prototype['sendMessage'] = function sendMessage(this: Call, message, callback) {
    const large = message instanceof LargeMessage;
    if (this.checkCancelled()) {
      if (large) message.close();
      return;
    }
    this.maybeSendMetadata();
    // A message that was cut cannot be followed by a status.
    const reset = (): void => this.stream.close(constants.NGHTTP2_INTERNAL_ERROR);
    if (large) {
      writeMessage(this.stream, message).finally(message.close).then(callback, reset);
    } else if (message instanceof Uint8Array && isCompressed(this.stream, message.byteLength)) {
      // Its deadline may have ended the call by then.
      compressedMessage(message)
        .then((bytes) => (this.stream.writableEnded ? undefined : written(this.stream, bytes)))
        .then(callback, reset);
    } else {
      original.call(this, message, callback);
    }
  } satisfies SendMessage;
  return true;
}

async function writeMessage(stream: ServerHttp2Stream, message: LargeMessage): Promise<void> {
  const prefix = new Uint8Array(PREFIX_BYTES);
  new DataView(prefix.buffer).setUint32(1, message.byteLength);
  await written(stream, prefix);
  for await (const slice of message.slices) await written(stream, slice);
}

function written(stream: ServerHttp2Stream, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    const closed = (): void => reject(new TephraError('canceled', 'the client left'));
    if (stream.destroyed) {
      closed();
      return;
    }
    // A write that waits for the client's window may never call back once the stream is closed.
    stream.once('close', closed);
    stream.write(bytes, (error) => {
      stream.off('close', closed);
      if (error === null || error === undefined) resolve();
      else closed();
    });
  });
}
