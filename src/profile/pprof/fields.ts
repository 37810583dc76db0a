/**
 * Field numbers and tags (number << 3 | wire type) of google/pprof's `profile.proto`. Repeated
 * numbers come packed or not, so they have two tags.
 *
 * The loops of the reader name tags by constants of their own file: a constant of another module is
 * a load and a check for the optimiser, not a number.
 */
export const FIELD = {
  sampleType: 1,
  sample: 2,
  mapping: 3,
  location: 4,
  function: 5,
  string: 6,
} as const;

/** How many numbers {@link FIELD} spans, from 0. */
export const FIELD_COUNT = 7;

/** Tags of Profile that are no table. */
export const TAG = {
  dropFrames: 0x38,
  keepFrames: 0x40,
  timeNanos: 0x48,
  durationNanos: 0x50,
  periodType: 0x5a,
  period: 0x60,
  comment: 0x68,
  commentPacked: 0x6a,
  defaultSampleType: 0x70,
  docUrl: 0x78,
} as const;

/** Known fields of each message: bit f is set for field number f. */
export const KNOWN = {
  profile: fields(15),
  valueType: fields(2),
  sample: fields(3),
  label: fields(4),
  mapping: fields(10),
  location: fields(5),
  line: fields(3),
  function: fields(5),
} as const;

/** The bits 1 to `count`. */
function fields(count: number): number {
  return (1 << (count + 1)) - 2;
}
