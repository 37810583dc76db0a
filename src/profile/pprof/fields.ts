/**
 * Tags (field number << 3 | wire type) of google/pprof's `profile.proto`. Repeated numbers come
 * packed or not, so they have two tags.
 */
export const TAG = {
  profileSampleType: 0x0a,
  profileSample: 0x12,
  profileMapping: 0x1a,
  profileLocation: 0x22,
  profileFunction: 0x2a,
  profileString: 0x32,
  profileDropFrames: 0x38,
  profileKeepFrames: 0x40,
  profileTimeNanos: 0x48,
  profileDurationNanos: 0x50,
  profilePeriodType: 0x5a,
  profilePeriod: 0x60,
  profileComment: 0x68,
  profileCommentPacked: 0x6a,
  profileDefaultSampleType: 0x70,
  profileDocUrl: 0x78,

  valueTypeType: 0x08,
  valueTypeUnit: 0x10,

  sampleLocation: 0x08,
  sampleLocationPacked: 0x0a,
  sampleValue: 0x10,
  sampleValuePacked: 0x12,
  sampleLabel: 0x1a,

  labelKey: 0x08,
  labelStr: 0x10,
  labelNum: 0x18,
  labelNumUnit: 0x20,

  mappingId: 0x08,
  mappingFile: 0x28,
  mappingBuildId: 0x30,

  locationId: 0x08,
  locationMapping: 0x10,
  locationAddress: 0x18,
  locationLine: 0x22,
  locationFolded: 0x28,

  lineFunction: 0x08,
  lineLine: 0x10,
  lineColumn: 0x18,

  functionId: 0x08,
  functionName: 0x10,
  functionSystemName: 0x18,
  functionFile: 0x20,
  functionStartLine: 0x28,
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
