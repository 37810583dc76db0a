import { describe, expect, it } from '@jest/globals';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { Profile as ReadProfile } from 'pprof-format';
import { diffProfile } from '../../../src/cli/forms/diff-pprof.ts';
import { type Profile, ProfileSchema } from '../../../src/gen/google/v1/profile_pb.ts';
import { encodePprof, type ModelFrame } from '../../model/profile.ts';

const frame = (name: string, line: number): ModelFrame => ({
  name,
  systemName: `_${name}`,
  file: `${name}.go`,
  startLine: 1,
  line,
  mappingFile: '/bin/shop',
  buildId: 'b1',
  address: 0,
  inlined: false,
});

function profile(stacks: readonly (readonly [names: readonly string[], value: bigint])[]): Profile {
  const bytes = encodePprof({
    sampleTypes: [['cpu', 'nanoseconds']],
    periodType: ['cpu', 'nanoseconds'],
    period: 10n,
    timeNanos: 0n,
    samples: stacks.map(([names, value]) => ({
      frames: names.map((name, i) => frame(name, i + 2)),
      values: [value],
      labels: [],
    })),
  });
  return fromBinary(ProfileSchema, bytes);
}

/** Stack names, value and whether it is the baseline's, as another reader sees them. */
function rows(merged: Profile): string[] {
  const read = ReadProfile.decode(toBinary(ProfileSchema, merged));
  const text = (index: number | bigint): string => read.stringTable.strings[Number(index)] ?? '?';
  const nameOf = (id: number | bigint): string => {
    const location = read.location.find((row) => row.id === id);
    const fn = read.function.find((row) => row.id === location?.line[0]?.functionId);
    return `${text(fn?.name ?? 0)}@${text(fn?.filename ?? 0)}:${location?.line[0]?.line}`;
  };
  return read.sample.map(({ locationId, value, label }) => {
    const stack = locationId.map(nameOf).toReversed().join(';');
    const marks = label.map(({ key, str }) => `${text(key)}=${text(str)}`).join();
    // The reader knows unsigned numbers only.
    return `${stack} ${BigInt.asIntN(64, BigInt(value[0] ?? 0))} ${marks}`;
  });
}

describe('diffProfile()', () => {
  it('has what is now as it is, and the baseline negative and marked', () => {
    const base = profile([
      [['main', 'read'], 7n],
      [['main', 'gone'], 2n],
    ]);
    const now = profile([
      [['main', 'render'], 5n],
      [['main', 'read'], 9n],
    ]);
    expect(rows(diffProfile(base, now))).toEqual([
      'main@main.go:2;render@render.go:3 5 ',
      'main@main.go:2;read@read.go:3 9 ',
      'main@main.go:2;read@read.go:3 -7 pprof::base=true',
      'main@main.go:2;gone@gone.go:3 -2 pprof::base=true',
    ]);
  });

  it('works with one side empty', () => {
    expect(rows(diffProfile(profile([]), profile([[['a'], 1n]])))).toEqual(['a@a.go:2 1 ']);
    expect(rows(diffProfile(profile([[['a'], 1n]]), profile([])))).toEqual([
      'a@a.go:2 -1 pprof::base=true',
    ]);
  });
});
