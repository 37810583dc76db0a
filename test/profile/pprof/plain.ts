import { fromBinary } from '@bufbuild/protobuf';
import { ProfileSchema } from '../../../src/gen/google/v1/profile_pb.ts';
import { NO_MAPPING, type ProfileColumns, stringAt } from '../../../src/profile/columns.ts';

/** A profile with every reference resolved to content, to compare two decodes of the same bytes. */
export interface PlainProfile {
  readonly sampleTypes: readonly string[];
  readonly periodType: string;
  readonly period: bigint;
  readonly timeNanos: bigint;
  readonly durationNanos: bigint;
  readonly strings: readonly string[];
  readonly functions: readonly string[];
  readonly mappings: readonly string[];
  readonly locations: readonly string[];
  readonly samples: readonly PlainSample[];
}

export interface PlainSample {
  readonly locations: readonly number[];
  readonly values: readonly bigint[];
  readonly labels: readonly string[];
}

/** The columns of our reader as a plain profile. */
export function plainOfColumns(columns: ProfileColumns): PlainProfile {
  const text = (index: number): string => stringAt(columns, index);
  const list = <T>(count: number, item: (row: number) => T): T[] =>
    Array.from({ length: count }, (_, row) => item(row));
  const at = (column: { readonly [row: number]: number }, row: number): number => {
    const value = column[row];
    if (value === undefined) throw new RangeError(`row ${row} is missing`);
    return value;
  };
  const mappings = list(columns.mappingCount, (row) =>
    [text(at(columns.mappingFile, row)), text(at(columns.mappingBuildId, row))].join('|'),
  );
  const functions = list(columns.functionCount, (row) =>
    [
      text(at(columns.functionName, row)),
      text(at(columns.functionSystemName, row)),
      text(at(columns.functionFile, row)),
      at(columns.functionStartLine, row),
    ].join('|'),
  );
  const locations = list(columns.locationCount, (row) => {
    const mapping = at(columns.locationMapping, row);
    const address =
      (BigInt(at(columns.locationAddressHigh, row)) << 32n) |
      BigInt(at(columns.locationAddressLow, row));
    const lines: string[] = [];
    for (
      let line = at(columns.locationLineStart, row);
      line < at(columns.locationLineStart, row + 1);
      line++
    ) {
      const name = functions[at(columns.lineFunction, line)];
      lines.push(`${name}:${at(columns.lineNumber, line)}:${at(columns.lineColumn, line)}`);
    }
    const file = mapping === NO_MAPPING ? '-' : mappings[mapping];
    return `${file} ${address} ${lines.join(' < ')}`;
  });
  const samples = list(columns.sampleCount, (row) => ({
    locations: [
      ...columns.sampleLocations.subarray(
        at(columns.sampleLocationStart, row),
        at(columns.sampleLocationStart, row + 1),
      ),
    ],
    values: columns.sampleTypes.map((_, type) => {
      const slot = type * columns.sampleCount + row;
      return columns.wideValues?.[slot] ?? BigInt(at(columns.values, slot));
    }),
    labels: list(at(columns.sampleLabelStart, row + 1) - at(columns.sampleLabelStart, row), (i) => {
      const label = at(columns.sampleLabelStart, row) + i;
      return `${text(at(columns.labelKey, label))}=${text(at(columns.labelText, label))}`;
    }),
  }));
  return {
    sampleTypes: columns.sampleTypes.map(({ type, unit }) => `${type}|${unit}`),
    periodType: `${columns.periodType.type}|${columns.periodType.unit}`,
    period: columns.period,
    timeNanos: columns.timeNanos,
    durationNanos: columns.durationNanos,
    strings: list(columns.stringCount, text),
    functions,
    mappings,
    locations,
    samples,
  };
}

/** The same by a generated decoder. The profile has to be valid. */
export function plainOfBytes(bytes: Uint8Array): PlainProfile {
  const profile = fromBinary(ProfileSchema, bytes);
  const text = (index: bigint): string => {
    const found = profile.stringTable[Number(index)];
    if (found === undefined) throw new RangeError(`string ${index} is missing`);
    return found;
  };
  const rows = (items: readonly { id: bigint }[]): Map<bigint, number> =>
    new Map(items.map(({ id }, row) => [id, row]));
  const functionRows = rows(profile.function);
  const mappingRows = rows(profile.mapping);
  const locationRows = rows(profile.location);
  const mappings = profile.mapping.map((m) => `${text(m.filename)}|${text(m.buildId)}`);
  const functions = profile.function.map(
    (f) => `${text(f.name)}|${text(f.systemName)}|${text(f.filename)}|${f.startLine}`,
  );
  return {
    sampleTypes: profile.sampleType.map((t) => `${text(t.type)}|${text(t.unit)}`),
    periodType: `${text(profile.periodType?.type ?? 0n)}|${text(profile.periodType?.unit ?? 0n)}`,
    period: profile.period,
    timeNanos: profile.timeNanos,
    durationNanos: profile.durationNanos,
    strings: profile.stringTable,
    functions,
    mappings,
    locations: profile.location.map((location) => {
      const file =
        location.mappingId === 0n ? '-' : mappings[mappingRows.get(location.mappingId) ?? -1];
      const lines = location.line.map(
        (l) => `${functions[functionRows.get(l.functionId) ?? -1]}:${l.line}:${l.column}`,
      );
      return `${file} ${location.address} ${lines.join(' < ')}`;
    }),
    samples: profile.sample.map((sample) => ({
      locations: sample.locationId.map((id) => locationRows.get(id) ?? -1),
      values: sample.value,
      labels: sample.label.map((label) => `${text(label.key)}=${text(label.str)}`),
    })),
  };
}

/** Without the rows that our reader adds for `(no stack)` and `(truncated)`. */
export function withoutSynthetic(ours: PlainProfile, theirs: PlainProfile): PlainProfile {
  const locations = ours.locations.slice(0, theirs.locations.length);
  return {
    ...ours,
    strings: ours.strings.slice(0, theirs.strings.length),
    functions: ours.functions.slice(0, theirs.functions.length),
    locations,
    samples: ours.samples.map((sample) => ({
      ...sample,
      locations: sample.locations.filter((row) => row < locations.length),
    })),
  };
}

/** Follows every reference of the columns; throws a RangeError for one that leads nowhere. */
export function touchAll(columns: ProfileColumns): void {
  const check = (column: { readonly [row: number]: number }, rows: number, below: number): void => {
    for (let row = 0; row < rows; row++) {
      const value = column[row];
      if (value === undefined || value >= below) throw new RangeError(`row ${row} is ${value}`);
    }
  };
  const { stringCount, functionCount, locationCount, sampleCount } = columns;
  check(columns.stringStart, stringCount, columns.bytes.byteLength + 1);
  check(columns.stringEnd, stringCount, columns.bytes.byteLength + 1);
  check(columns.functionName, functionCount, stringCount);
  check(columns.functionSystemName, functionCount, stringCount);
  check(columns.functionFile, functionCount, stringCount);
  check(columns.mappingFile, columns.mappingCount, stringCount);
  check(columns.mappingBuildId, columns.mappingCount, stringCount);
  check(columns.locationMapping, locationCount, columns.mappingCount || 1);
  const lines = columns.locationLineStart[locationCount] ?? Number.NaN;
  check(columns.locationLineStart, locationCount + 1, lines + 1);
  check(columns.lineFunction, lines, functionCount);
  const frames = columns.sampleLocationStart[sampleCount] ?? Number.NaN;
  check(columns.sampleLocationStart, sampleCount + 1, frames + 1);
  check(columns.sampleLocations, frames, locationCount);
  const labels = columns.sampleLabelStart[sampleCount] ?? Number.NaN;
  check(columns.sampleLabelStart, sampleCount + 1, labels + 1);
  check(columns.labelKey, labels, stringCount);
  check(columns.labelText, labels, stringCount);
  check(columns.values, sampleCount * columns.sampleTypes.length, Infinity);
}
