import {
  create,
  fromBinary,
  toBinary,
  type DescMessage,
  type Message,
  type MessageShape,
} from '@bufbuild/protobuf';
import { BinaryReader } from '@bufbuild/protobuf/wire';
import type { QueryNotes } from '../../query/request.ts';
import type { Reply } from './method.ts';

/** The answer as bytes. */
export function replyBytes<O extends DescMessage>(desc: O, reply: Reply<O>): Uint8Array {
  return 'encoded' in reply ? reply.encoded.bytes : toBinary(desc, reply.message);
}

/** The answer as a message with all its fields: for JSON. */
export function replyMessage<O extends DescMessage>(desc: O, reply: Reply<O>): MessageShape<O> {
  return 'encoded' in reply ? fromBinary(desc, reply.encoded.bytes) : reply.message;
}

/**
 * The answer as a message that is written as exactly the given bytes, without decoding them: a
 * message keeps unknown fields and writes each as a tag followed by raw data. So the bytes become one
 * unknown field, the tag of their first field followed by all the rest. Only for binary output.
 */
export function replyCarrier<O extends DescMessage>(desc: O, reply: Reply<O>): Message {
  if ('message' in reply) return reply.message;
  const { bytes } = reply.encoded;
  const message: Message = create(desc);
  if (bytes.length > 0) {
    const reader = new BinaryReader(bytes);
    const [no, wireType] = reader.tag();
    message.$unknown = [{ no, wireType, data: bytes.subarray(reader.pos) }];
  }
  return message;
}

/** What an answer says about itself beside the message, as header or trailer fields. */
export function replyNotes(reply: Reply<DescMessage>): Record<string, string> {
  if (!('encoded' in reply)) return {};
  const { notes } = reply.encoded;
  return { 'tephra-exact': String(isExact(notes)), 'tephra-notes': JSON.stringify(notes) };
}

function isExact(notes: QueryNotes): boolean {
  return notes.wholeMinutes === 0 && notes.damagedStacks === 0 && !notes.saturated;
}
