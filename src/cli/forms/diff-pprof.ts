import { create } from '@bufbuild/protobuf';
import {
  FunctionSchema,
  LabelSchema,
  LineSchema,
  LocationSchema,
  MappingSchema,
  type Profile,
  ProfileSchema,
  SampleSchema,
} from '../../gen/google/v1/profile_pb.ts';

/**
 * One profile of what changed: the samples of `now`, and those of `base` with negative values and the
 * label that `go tool pprof -diff_base` gives them, so that viewers show differences in percent of
 * the baseline.
 *
 * Source: google/pprof, profile/profile.go (`DiffBaseSample`).
 */
export function diffProfile(base: Profile, now: Profile): Profile {
  const strings = [...now.stringTable];
  const offset = BigInt(strings.length);
  strings.push(...base.stringTable, BASE_KEY, BASE_VALUE);
  const text = (index: bigint): bigint => (index === 0n ? 0n : index + offset);
  const label = create(LabelSchema, {
    key: BigInt(strings.length - 2),
    str: BigInt(strings.length - 1),
  });
  // Ids of one profile begin above those of the other.
  const above = (rows: readonly { readonly id: bigint }[]): bigint =>
    rows.reduce((most, { id }) => (id > most ? id : most), 0n);
  const mappings = above(now.mapping);
  const functions = above(now.function);
  const locations = above(now.location);
  const moved = (id: bigint, by: bigint): bigint => (id === 0n ? 0n : id + by);
  return create(ProfileSchema, {
    ...now,
    stringTable: strings,
    mapping: [
      ...now.mapping,
      ...base.mapping.map((row) =>
        create(MappingSchema, {
          ...row,
          id: row.id + mappings,
          filename: text(row.filename),
          buildId: text(row.buildId),
        }),
      ),
    ],
    function: [
      ...now.function,
      ...base.function.map((row) =>
        create(FunctionSchema, {
          ...row,
          id: row.id + functions,
          name: text(row.name),
          systemName: text(row.systemName),
          filename: text(row.filename),
        }),
      ),
    ],
    location: [
      ...now.location,
      ...base.location.map((row) =>
        create(LocationSchema, {
          ...row,
          id: row.id + locations,
          mappingId: moved(row.mappingId, mappings),
          line: row.line.map((line) =>
            create(LineSchema, { ...line, functionId: moved(line.functionId, functions) }),
          ),
        }),
      ),
    ],
    sample: [
      ...now.sample,
      ...base.sample.map((row) =>
        create(SampleSchema, {
          locationId: row.locationId.map((id) => id + locations),
          value: row.value.map((value) => -value),
          label: [label],
        }),
      ),
    ],
  });
}

const BASE_KEY = 'pprof::base';
const BASE_VALUE = 'true';
