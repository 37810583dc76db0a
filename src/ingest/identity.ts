import { createHash } from 'node:crypto';
import { ByteWriter, utf8 } from '../base/bytes.ts';
import type { PushItem } from './push.ts';

/** Bytes of an identity. */
export const IDENTITY_BYTES = 16;

/**
 * The identity of a push: 128 bits of SHA-256 over length-prefixed tenant, labels as received, client
 * id unless empty or zero, client time span, and the payload as received. The same push sent again has
 * the same identity; the same id with other bytes is another push.
 */
export function identityOf(item: PushItem): Uint8Array {
  const { payload } = item;
  HEAD.reset();
  writePart(item.tenant);
  writePart(String(item.labels.length));
  for (const [name, value] of item.labels) {
    writePart(name);
    writePart(value);
  }
  writePart(clientId(item));
  writePart(`${item.fromMs ?? ''}-${item.untilMs ?? ''}`);
  HEAD.u32(payload.byteLength);
  const digest = createHash('sha256').update(HEAD.view()).update(payload).digest();
  return new Uint8Array(digest.subarray(0, IDENTITY_BYTES));
}

/** Scratch of the thread: all that is hashed before the payload, at once, since a call costs more than it. */
const HEAD = new ByteWriter(1_024);

function writePart(text: string): void {
  const bytes = utf8(text);
  HEAD.u32(bytes.byteLength).raw(bytes);
}

/** The client's id; '' for none and for ids of only zeros (a UUID that nobody filled in). */
export function clientId(item: PushItem): string {
  return /^[0-]*$/.test(item.profileId) ? '' : item.profileId;
}
