import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromBinary } from '@bufbuild/protobuf';
import { describe, expect, it } from '@jest/globals';
import { Profile } from 'pprof-format';
import { atOnce } from '../../../src/base/steps.ts';
import { seededRandom } from '../../../src/base/random.ts';
import {
  type Profile as ProfileMessage,
  ProfileSchema,
} from '../../../src/gen/google/v1/profile_pb.ts';
import { parseProfileType } from '../../../src/profile/profile-type.ts';
import { encodePprof, type PprofHeader } from '../../../src/query/encode/pprof.ts';
import { frameTreeOf, joinFrameTrees } from '../../../src/query/tree/join-frames.ts';
import { lanesOf } from '../../../src/query/tree/lanes.ts';
import { Dictionary } from '../../../src/storage/dictionary/dictionary.ts';
import { DAMAGED_FRAME, FRAME_INLINED, NO_FUNCTION } from '../../../src/storage/dictionary/rows.ts';

const HEADER: PprofHeader = {
  type: parseProfileType('process_cpu:cpu:nanoseconds:cpu:nanoseconds'),
  timeNanos: 1_700_000_000_123_456_789n,
  durationNanos: 10_000_000_000n,
  period: 10_000_000n,
};

/**
 * A dictionary of frames by picture: `name:line`, `+` in front = inlined into the one before,
 * `@hex` = an address without symbols, `!` = damaged, `?` = nothing known.
 */
function treeOfPicture(stacks: readonly (readonly [picture: string, value: bigint])[]) {
  const dictionary = new Dictionary(seededRandom(7));
  const binary = dictionary.internText('/bin/app');
  const build = dictionary.internText('cafe');
  const library = dictionary.internText('/lib/c.so');
  const file = dictionary.internText('app.c');
  const frameOf = (picture: string): number => {
    if (picture === '!') return DAMAGED_FRAME;
    if (picture === '?') return dictionary.internFrame(NO_FUNCTION, 0, 0, 0, 0, 0, 0, 0);
    if (picture.startsWith('@')) {
      const address = Number.parseInt(picture.slice(1), 16);
      const high = Math.floor(address / 2 ** 32);
      return dictionary.internFrame(NO_FUNCTION, 0, 0, library, 0, address >>> 0, high, 0);
    }
    const inlined = picture.startsWith('+');
    const [name = '', line = '0'] = picture.replace('+', '').split(':');
    const text = dictionary.internText(name);
    const fn = dictionary.internFunction(text, dictionary.internText(`_${name}`), file, 3);
    return dictionary.internFrame(
      fn,
      Number(line),
      0,
      binary,
      build,
      0,
      0,
      inlined ? FRAME_INLINED : 0,
    );
  };
  const sums: bigint[] = [];
  for (const [picture, value] of stacks) {
    const frames = Uint32Array.from(picture.split(' '), frameOf);
    sums[dictionary.internStack(frames, 0, frames.length)] = value;
  }
  return atOnce(frameTreeOf([{ source: dictionary, sums: lanesOf(sums) }]));
}

/** Samples as text: locations leaf first, lines of a location by `<` from the innermost. */
function shown(profile: ProfileMessage): string[] {
  const text = (index: bigint): string => profile.stringTable[Number(index)] ?? 'out of range';
  const functions = new Map(profile.function.map((fn) => [fn.id, text(fn.name)]));
  const locations = new Map(
    profile.location.map(({ id, address, line }) => [
      id,
      line.length === 0
        ? `@${address.toString(16)}`
        : line.map((l) => `${functions.get(l.functionId)}:${l.line}`).join('<'),
    ]),
  );
  return profile.sample.map(
    ({ locationId, value }) =>
      `${locationId.map((id) => locations.get(id)).join(' ')} ${value.join(' ')}`,
  );
}

const STACKS = [
  ['main:1 +helper:5 +leaf:6 work:9', 4n],
  ['main:1 +helper:5', 2n],
  ['main:1', 1n],
  ['main:1 @7fff00000010', 3n],
  ['! ?', 5n],
] as const;

describe('encodePprof', () => {
  it('regroups inlined frames into locations, leaf first', () => {
    const { bytes, saturated } = atOnce(encodePprof(treeOfPicture(STACKS), HEADER));
    const profile = fromBinary(ProfileSchema, bytes);
    expect(shown(profile).toSorted()).toEqual([
      '(unknown):0 (damaged):0 5',
      '@7fff00000010 main:1 3',
      'helper:5<main:1 2',
      'main:1 1',
      'work:9 leaf:6<helper:5<main:1 4',
    ]);
    expect(saturated).toBe(false);
    for (const table of [profile.location, profile.function, profile.mapping]) {
      expect(table.map(({ id }) => id)).toEqual(table.map((_, i) => BigInt(i + 1)));
    }
  });

  it('keeps addresses of the kernel, which lie beyond int64', () => {
    const { bytes, saturated } = atOnce(
      encodePprof(treeOfPicture([['@ffffffff81000000', 1n]]), HEADER),
    );
    const { location } = fromBinary(ProfileSchema, bytes);
    expect(location.map(({ address }) => address)).toEqual([0xffff_ffff_8100_0000n]);
    expect(saturated).toBe(false);
  });

  it('says what it measures, when and where', () => {
    const profile = fromBinary(
      ProfileSchema,
      atOnce(encodePprof(treeOfPicture(STACKS), HEADER)).bytes,
    );
    const text = (index: bigint | undefined): string => profile.stringTable[Number(index)] ?? '';
    expect(profile.stringTable[0]).toBe('');
    expect(new Set(profile.stringTable).size).toBe(profile.stringTable.length);
    expect(profile.sampleType.map(({ type, unit }) => [text(type), text(unit)])).toEqual([
      ['cpu', 'nanoseconds'],
    ]);
    expect([text(profile.periodType?.type), profile.period]).toEqual(['cpu', 10_000_000n]);
    expect([profile.timeNanos, profile.durationNanos]).toEqual([
      1_700_000_000_123_456_789n,
      10_000_000_000n,
    ]);
    expect(
      profile.mapping.map((m) => [
        text(m.filename),
        text(m.buildId),
        m.hasFunctions,
        m.hasInlineFrames,
      ]),
    ).toEqual(
      expect.arrayContaining([
        ['/bin/app', 'cafe', true, true],
        ['/lib/c.so', '', false, false],
      ]),
    );
    const main = profile.function.find(({ name }) => text(name) === 'main');
    expect([text(main?.systemName), text(main?.filename), main?.startLine]).toEqual([
      '_main',
      'app.c',
      3n,
    ]);
  });

  it('is read by pprof-format', () => {
    const profile = Profile.decode(atOnce(encodePprof(treeOfPicture(STACKS), HEADER)).bytes);
    expect(profile.sample).toHaveLength(STACKS.length);
    expect(profile.sample.reduce((sum, { value }) => sum + Number(value[0]), 0)).toBe(15);
  });

  it('is a valid profile without samples and without period', () => {
    const type = parseProfileType('memory:inuse_space:bytes::');
    const { bytes } = atOnce(
      encodePprof(atOnce(joinFrameTrees([])), { ...HEADER, type, period: 0n }),
    );
    const profile = fromBinary(ProfileSchema, bytes);
    expect(profile.stringTable).toEqual(['', 'inuse_space', 'bytes']);
    expect([profile.sample, profile.periodType]).toEqual([[], undefined]);
  });

  it('keeps values exact to int64, then cuts them and says so', () => {
    const most = (1n << 63n) - 1n;
    const values = (stacks: readonly (readonly [string, bigint])[]) => {
      const { bytes, saturated } = atOnce(encodePprof(treeOfPicture(stacks), HEADER));
      const { sample } = fromBinary(ProfileSchema, bytes);
      return [...sample.flatMap(({ value }) => value), saturated];
    };
    expect(
      values([
        ['a', (1n << 53n) + 1n],
        ['b', most],
      ]),
    ).toEqual([(1n << 53n) + 1n, most, false]);
    expect(values([['a', most + 1n]])).toEqual([most, true]);
  });
});

const go = spawnSync('go', ['version']).status === 0;
(go ? describe : describe.skip)(`go tool pprof${go ? '' : ' (skipped: no Go here)'}`, () => {
  it('reads the profile', () => {
    const directory = mkdtempSync(join(tmpdir(), 'tephra-pprof-'));
    try {
      const path = join(directory, 'answer.pb');
      writeFileSync(path, atOnce(encodePprof(treeOfPicture(STACKS), HEADER)).bytes);
      const { stdout, stderr } = spawnSync('go', ['tool', 'pprof', '-top', '-unit=ns', path], {
        encoding: 'utf8',
        env: { ...process.env, PPROF_TMPDIR: directory },
      });
      expect(stderr + stdout).toContain('15ns total');
      expect(stdout).toMatch(/4ns .* work/);
      expect(stdout).toMatch(/10ns .* main/);
      expect(stdout).toMatch(/leaf \(inline\)/);
    } finally {
      rmSync(directory, { recursive: true });
    }
    // The first use compiles the tool.
  }, 120_000);
});
