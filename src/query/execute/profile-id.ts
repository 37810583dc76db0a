import { hex } from '../../base/bytes.ts';
import type { PushView } from '../../storage/fragment/decode.ts';

/**
 * The id under which a profile is shown and found: the client's, else its identity as a UUID, '' where
 * it came with neither id nor time. A profile whose samples have several sets of labels shows them all
 * under one id.
 */
export function shownProfileId({ profileId, key }: PushView): string {
  if (profileId !== '') return profileId;
  if (key.every((byte) => byte === 0)) return '';
  return hex(key).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

/** An id as it is compared: UUIDs in any case are one. */
export function comparedProfileId(id: string): string {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(id) ? id.toLowerCase() : id;
}
