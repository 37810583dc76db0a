import {
  create,
  fromBinary,
  toBinary,
  type DescMessage,
  type Message,
  type MessageShape,
} from '@bufbuild/protobuf';
import { BinaryReader } from '@bufbuild/protobuf/wire';
import type { LossNotes } from '../../query/losses.ts';
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
  if ('encoded' in reply) {
    const { notes } = reply.encoded;
    return { 'tephra-exact': String(isExact(notes)), 'tephra-notes': headerText(notes) };
  }
  const { losses } = reply;
  return losses === undefined ? {} : lossHeaders(losses);
}

/** What an answer lacks, as header or trailer fields. */
export function lossHeaders(losses: LossNotes): Record<string, string> {
  return { 'tephra-exact': 'false', 'tephra-notes': headerText(losses) };
}

/** Whether no value is missing, added or without a name: folding and truncation hide no value. */
export function isExact(notes: QueryNotes): boolean {
  return (
    notes.wholeMinutes === 0 &&
    notes.damagedStacks === 0 &&
    notes.damagedValue === 0n &&
    notes.lostMinutes === 0 &&
    notes.lostParts === 0 &&
    notes.unreadProfiles === 0 &&
    !notes.saturated
  );
}

/** JSON in ASCII: names of services may hold any character, a header field may not. */
function headerText(notes: object): string {
  const text = JSON.stringify(notes, (_, value: unknown) =>
    typeof value === 'bigint' ? String(value) : value,
  );
  return text.replaceAll(
    /[^\x20-\x7e]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
