import type { QueryNotes } from '../../query/request.ts';

/** The record of an answer that needed nothing. */
export const NO_NOTES: QueryNotes = {
  lostParts: 0,
  lost: [],
  total: 0n,
  profiles: 0,
  wholeMinutes: 0,
  edgeAddedValue: 0n,
  edgeDroppedValue: 0n,
  damagedStacks: 0,
  damagedSections: 0,
  lostMinutes: 0,
  damagedValue: 0n,
  truncatedValue: 0n,
  foldedValue: 0n,
  cutLabelsValue: 0n,
  unreadProfiles: 0,
  saturated: false,
  instants: 0,
  blocksRead: 0,
  bytesRead: 0,
};
