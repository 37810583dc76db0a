/**
 * Three repairs of grpc-js 1.14.7, made in its private classes because it has no other way. All are
 * tried out at the start; where the library is not what they were made for nothing is changed.
 *
 * 1. Its decoder keeps an object for each DATA frame of a message: a sender that cuts a message into
 *    frames of a byte makes the server keep far more than the message. Here a message is collected in
 *    one buffer that grows with what has come.
 * 2. It inflates messages itself and answers a damaged one with INTERNAL, which clients send again.
 *    Here the handler inflates.
 * 3. It copies each answer and writes it whole, and compresses none (answer/large-message.ts, answers.ts).
 */
import { createRequire } from 'node:module';
import { TephraError } from '../../base/errors.ts';
import { areTooTiny } from '../body/body.ts';
import { sendLargeMessages } from '../answer/large-message.ts';

/** A message that is compressed still. */
export class CompressedMessage {
  readonly bytes: Buffer;
  /** As `grpc-encoding` says. */
  readonly encoding: string;

  constructor(bytes: Buffer, encoding: string) {
    this.bytes = bytes;
    this.encoding = encoding;
  }

  /** Bytes as they came. */
  get byteLength(): number {
    return this.bytes.byteLength;
  }
}

/** The private state of the library's decoder that is used here. */
interface Decoder {
  maxReadMessageLength: number;
  collected?: Collected | undefined;
  bounds?: PartialBounds | undefined;
  write(data: Buffer): Buffer[];
}

interface Collected {
  /** The frame's five bytes and what has come of the message; longer than `used`. */
  bytes: Buffer;
  used: number;
  /** Bytes of frame and message, NaN until its length is known. */
  size: number;
  /** DATA frames that it came in. */
  frames: number;
}

/** Bytes of messages of long calls that have begun and not ended, all calls together. */
export interface PartialBytes {
  bytes: number;
  readonly bytesMax: number;
}

/** What bounds the messages of one long call. */
interface PartialBounds {
  readonly all: PartialBytes;
  /** Of `all.bytes`. */
  held: number;
}

/** The bounds of one long call. */
export interface BoundedMessages {
  /** The message that has begun and not ended, if any: an object for each. */
  partial(): object | undefined;
  /** The call has ended. */
  release(): void;
}

/**
 * Bounds the messages of a long call, which takes no credits before a message is complete: the size of
 * one, and what all such calls hold of messages that are not complete. What passes them ends the call
 * with RESOURCE_EXHAUSTED. Undefined, and nothing is bounded, if the library is not the one that is known.
 */
export function boundMessages(
  call: object,
  bytesMax: number,
  all: PartialBytes,
): BoundedMessages | undefined {
  const decoder = Reflect.get(call, 'decoder') as Decoder | undefined;
  if (typeof decoder?.maxReadMessageLength !== 'number' || decoder.write !== write) {
    return undefined;
  }
  decoder.maxReadMessageLength = bytesMax;
  const bounds: PartialBounds = { all, held: 0 };
  decoder.bounds = bounds;
  return {
    partial: () => decoder.collected,
    release: () => hold(bounds, 0),
  };
}

function hold(bounds: PartialBounds, bytes: number): void {
  bounds.all.bytes += bytes - bounds.held;
  bounds.held = bytes;
}

/** Throws what ends the call if it holds too much of a message that is not complete. */
function checkPartial(bounds: PartialBounds, { bytes, used, frames }: Collected): void {
  hold(bounds, bytes.length);
  if (areTooTiny(frames, used)) {
    throw new TephraError('tiny_pieces', `${frames} pieces with ${used} bytes`);
  }
  if (bounds.all.bytes > bounds.all.bytesMax) {
    throw new TephraError('overloaded', 'too much of messages that are not complete is in memory');
  }
}

const PREFIX_BYTES = 5;
const FIRST_BYTES = 4_096;

/** Applies the repairs once for the process. Returns false, and has changed nothing, if they do not fit. */
export function patchGrpc(): boolean {
  const require = createRequire(import.meta.url);
  const decoders = load(require, '@grpc/grpc-js/build/src/stream-decoder.js');
  const calls = load(require, '@grpc/grpc-js/build/src/server-interceptors.js');
  const StreamDecoder = decoders['StreamDecoder'] as (new (max: number) => Decoder) | undefined;
  const call = (calls['BaseServerInterceptingCall'] as { prototype?: Record<string, unknown> })
    ?.prototype;
  if (typeof StreamDecoder !== 'function' || call === undefined) return false;
  const original = { write: StreamDecoder.prototype.write, inflate: call['decompressMessage'] };
  if (original.write === write) return true;
  if (typeof original.inflate !== 'function' || original.inflate.length !== 2) return false;
  if (!decodes(StreamDecoder)) return false;
  StreamDecoder.prototype.write = write;
  if (!decodes(StreamDecoder)) {
    StreamDecoder.prototype.write = original.write;
    return false;
  }
  if (!sendLargeMessages(call)) {
    StreamDecoder.prototype.write = original.write;
    return false;
  }
  call['decompressMessage'] = handOn;
  return true;
}

/** The library's `write`, but collecting: whole messages with their five bytes in front. */
function write(this: Decoder, data: Buffer): Buffer[] {
  const messages: Buffer[] = [];
  let at = 0;
  while (at < data.length) {
    // Of a long call a message that is whole is not copied: it is in the next moment, into its bundle.
    const whole = this.bounds === undefined || this.collected !== undefined ? 0 : sizeAt(data, at);
    if (whole > 0 && whole - PREFIX_BYTES <= this.maxReadMessageLength) {
      messages.push(data.subarray(at, at + whole));
      at += whole;
      continue;
    }
    const into = (this.collected ??= {
      bytes: Buffer.allocUnsafeSlow(Math.min(FIRST_BYTES, Math.max(PREFIX_BYTES, data.length))),
      used: 0,
      size: Number.NaN,
      frames: 0,
    });
    if (at === 0) into.frames++;
    const wanted = Number.isNaN(into.size) ? PREFIX_BYTES : into.size;
    const taken = Math.min(wanted - into.used, data.length - at);
    reserve(into, into.used + taken, wanted);
    data.copy(into.bytes, into.used, at, at + taken);
    into.used += taken;
    at += taken;
    if (Number.isNaN(into.size) && into.used === PREFIX_BYTES) {
      const size = into.bytes.readUInt32BE(1);
      if (this.maxReadMessageLength !== -1 && size > this.maxReadMessageLength) {
        throw new TephraError(
          'body_size_limit',
          `received a message of ${size} bytes, ${this.maxReadMessageLength} are allowed`,
        );
      }
      into.size = PREFIX_BYTES + size;
    }
    if (into.used === into.size) {
      messages.push(into.bytes.subarray(0, into.used));
      this.collected = undefined;
    }
  }
  if (this.bounds !== undefined) {
    if (this.collected !== undefined) checkPartial(this.bounds, this.collected);
    else if (this.bounds.held > 0) hold(this.bounds, 0);
  }
  return messages;
}

/** Bytes of the message at `at` with what is in front of it; 0 if it is not whole. */
function sizeAt(data: Buffer, at: number): number {
  if (data.length - at < PREFIX_BYTES) return 0;
  const size = PREFIX_BYTES + data.readUInt32BE(at + 1);
  return size <= data.length - at ? size : 0;
}

/** Makes room; at most doubles what has come, so that a length alone reserves nothing. */
function reserve(into: Collected, needed: number, wanted: number): void {
  if (needed <= into.bytes.length) return;
  const size = Math.max(needed, Math.min(wanted, 2 * into.bytes.length));
  const larger = Buffer.allocUnsafeSlow(size);
  into.bytes.copy(larger, 0, 0, into.used);
  into.bytes = larger;
}

/** In place of the library's `decompressMessage`. */
function handOn(message: Buffer, encoding: string): Buffer | CompressedMessage {
  const bytes = message.subarray(PREFIX_BYTES);
  return message[0] === 1 ? new CompressedMessage(bytes, encoding) : bytes;
}

/** Two messages and an empty one, in frames of all sizes, come out as they went in. */
function decodes(StreamDecoder: new (max: number) => Decoder): boolean {
  const stream = Buffer.from([0, 0, 0, 0, 3, 7, 8, 9, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 5]);
  for (let frame = 1; frame <= stream.length; frame++) {
    const decoder = new StreamDecoder(3);
    const messages: Buffer[] = [];
    for (let at = 0; at < stream.length; at += frame) {
      messages.push(...decoder.write(stream.subarray(at, at + frame)));
    }
    if (messages.length !== 3 || !Buffer.concat(messages).equals(stream)) return false;
  }
  try {
    new StreamDecoder(3).write(Buffer.from([0, 0, 0, 0, 4]));
    return false;
  } catch {
    return true;
  }
}

function load(require: NodeJS.Require, path: string): Record<string, unknown> {
  try {
    return require(path) as Record<string, unknown>;
  } catch {
    return {};
  }
}
