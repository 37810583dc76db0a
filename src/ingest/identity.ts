import { createHash } from 'node:crypto';

import type { PushItem } from './push.ts';

/** Bytes of an identity. */
export const IDENTITY_BYTES = 16;

/**
 * The identity of a push: 128 bits of SHA-256 over length-prefixed tenant, labels as received, client
 * id unless empty or zero, client time span, and the payload as received. The same push sent again has
 * the same identity; the same id with other bytes is another push.
 */
export function identityOf(item: PushItem): Uint8Array {
  const hash = createHash('sha256');
  const part = (bytes: string | Uint8Array): void => {
    const length = Buffer.alloc(4);
    length.writeUInt32LE(Buffer.byteLength(bytes), 0);
    hash.update(length).update(bytes);
  };
  part(item.tenant);
  part(String(item.labels.length));
  for (const [name, value] of item.labels) {
    part(name);
    part(value);
  }
  part(clientId(item));
  part(`${item.fromMs ?? ''}-${item.untilMs ?? ''}`);
  part(item.payload);
  return new Uint8Array(hash.digest().subarray(0, IDENTITY_BYTES));
}

/** The client's id; '' for none and for ids of only zeros (a UUID that nobody filled in). */
export function clientId(item: PushItem): string {
  return /^[0-]*$/.test(item.profileId) ? '' : item.profileId;
}
