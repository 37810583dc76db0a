import { readdirSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';

const COMMITTED = new URL('../../data/pprof/', import.meta.url);

/** Names of the committed profiles. */
export function committedNames(): string[] {
  return namesIn(COMMITTED.pathname);
}

/** Inflated bytes of a committed profile. */
export function committedProfile(name: string): Uint8Array {
  return new Uint8Array(gunzipSync(readFileSync(new URL(`${name}.pb.gz`, COMMITTED))));
}

/** Files of the optional corpus, by the variable TEPHRA_CORPUS; none where it is unset. */
export function corpusFiles(folder: string): string[] {
  const corpus = process.env['TEPHRA_CORPUS'];
  if (corpus === undefined || corpus === '') return [];
  return readdirSync(`${corpus}/${folder}`).map((name) => `${corpus}/${folder}/${name}`);
}

function namesIn(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.pb.gz'))
    .map((name) => name.slice(0, -'.pb.gz'.length))
    .sort();
}
