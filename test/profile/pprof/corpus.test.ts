import { readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, test } from '@jest/globals';
import { Profile } from 'pprof-format';
import { inflatePayload } from '../../../src/profile/pprof/inflate.ts';
import { PprofReader } from '../../../src/profile/pprof/read.ts';
import { committedNames, committedProfile, corpusFiles } from './corpus.ts';
import { plainOfBytes, plainOfColumns, withoutSynthetic } from './plain.ts';

const reader = new PprofReader();

/** As `toEqual`, which is slow on large values and is needed only to show a difference. */
function expectSame(ours: unknown, theirs: unknown): void {
  if (!isDeepStrictEqual(ours, theirs)) expect(ours).toEqual(theirs);
}

function expectEqualDecodes(bytes: Uint8Array): void {
  const theirs = plainOfBytes(bytes);
  const ours = plainOfColumns(reader.read(bytes));
  expectSame(withoutSynthetic(ours, theirs), theirs);
  // A third opinion, on what carries the values.
  const third = Profile.decode(bytes);
  const rows = new Map(third.location.map(({ id }, row) => [BigInt(id), row]));
  expectSame(
    ours.samples.map(({ values }) => values),
    third.sample.map(({ value }) => value.map(BigInt)),
  );
  expectSame(
    theirs.samples.map(({ locations }) => locations),
    third.sample.map(({ locationId }) => locationId.map((id) => rows.get(BigInt(id)))),
  );
}

describe('real profiles', () => {
  test.each(committedNames())('%s is read as two other decoders read it', (name) => {
    expectEqualDecodes(committedProfile(name));
  });

  const files = corpusFiles('pprof').filter((file) => /google-.*\.pb\.gz$/.test(file));
  const withCorpus = files.length === 0 ? test.skip : test;
  withCorpus.each(files.length === 0 ? ['TEPHRA_CORPUS is not set: nothing'] : files)(
    '%s is read as two other decoders read it',
    (file) => {
      expectEqualDecodes(inflatePayload(new Uint8Array(readFileSync(file)), 64 << 20));
    },
  );
});
