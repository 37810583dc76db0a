import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { fromBinary } from '@bufbuild/protobuf';
import { isErrorLike, TephraError } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';
import { ProfileSchema } from '../../gen/google/v1/profile_pb.ts';
import type { ProfileColumns } from '../../profile/columns.ts';
import { FoldedReader } from '../../profile/folded/read.ts';
import { inflatePayload } from '../../profile/pprof/inflate.ts';
import { PprofReader } from '../../profile/pprof/read.ts';
import { isFoldedFile } from '../file-form.ts';
import { CliError, EXIT, note, type CliIo } from '../io.ts';
import { treeOfColumns } from '../tree/from-columns.ts';
import { profileOfTree } from '../tree/to-profile.ts';
import { likeliestType } from './choose-type.ts';
import type { Answered, Side } from './side.ts';

/** Folded text counts samples: nobody says how long one lasted. */
const SAMPLES = { type: 'samples', unit: 'count' } as const;

/** The side that a file on this disk holds: pprof, gzip or plain, or folded stacks. No server is asked. */
export async function fileSide(
  path: string,
  givenType: string | undefined,
  io: CliIo,
): Promise<Side> {
  const stored = await readFile(path).catch((error: unknown) => {
    throw new CliError(isErrorLike(error) ? error.message : `${path}: ${String(error)}`);
  });
  const folded = isFoldedFile(path);
  let columns: ProfileColumns;
  let bytes: Uint8Array;
  try {
    bytes = inflatePayload(stored, LIMITS.profileBytesMax);
    columns = folded ? readFolded(bytes) : new PprofReader().read(bytes);
  } catch (error) {
    throw new CliError(`${path}: ${TephraError.from(error).message}`);
  }
  const types = columns.sampleTypes.map(({ type, unit }) => `:${type}:${unit}::`);
  const type = folded ? types[0] : chosen(types, givenType, path, io);
  const column = types.indexOf(type ?? '');
  const exact = <T>(value: T): Answered<T> => ({ value, exact: true, notes: undefined });
  const tree = treeOfColumns(columns, column);
  return {
    text: basename(path),
    source: { file: path },
    type: type ?? '',
    tree: () => Promise.resolve(exact(tree)),
    profile() {
      const { type: name = '', unit = '' } = columns.sampleTypes[column] ?? {};
      if (folded) return Promise.resolve(exact(profileOfTree(tree, name, unit)));
      // One value a sample, as a server answers.
      const profile = fromBinary(ProfileSchema, bytes);
      profile.sampleType = profile.sampleType.slice(column, column + 1);
      for (const sample of profile.sample) sample.value = sample.value.slice(column, column + 1);
      profile.defaultSampleType = 0n;
      return Promise.resolve(exact(profile));
    },
  };
}

function readFolded(bytes: Uint8Array): ProfileColumns {
  return new FoldedReader().read(bytes, {
    format: 'folded',
    sampleType: SAMPLES,
    periodType: { type: '', unit: '' },
    period: 0n,
    unitScale: 1,
  });
}

function chosen(
  types: readonly string[],
  given: string | undefined,
  path: string,
  io: CliIo,
): string {
  const shown = (type: string): string => type.split(':').slice(1, 3).join(':');
  const preferred = likeliestType(types, given);
  if (preferred === undefined) {
    throw new CliError(
      `${path}: --type: none is ${JSON.stringify(given)}; there are ${types.map(shown).join(', ')}`,
      EXIT.usage,
    );
  }
  // Where nobody says and nothing is known, the last one, as go tool pprof takes.
  const isGuess = given === undefined && preferred === types[0];
  const type =
    isGuess && !/:(cpu|wall|inuse_space|alloc_space):/.test(preferred) ? types.at(-1) : preferred;
  if (given === undefined && types.length > 1) {
    const others = types.filter((other) => other !== type).map(shown);
    note(
      io,
      `${basename(path)}: type ${shown(type ?? '')}; --type takes also ${others.join(', ')}`,
    );
  }
  return type ?? preferred;
}
