import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';

const ROOT = join(import.meta.dirname, '..', '..', '..');

interface Edit {
  readonly file: string;
  readonly find: string;
}

interface Mutation extends Edit {
  readonly name: string;
  /** In place of one edit. */
  readonly edits?: readonly Edit[];
}

test('every bug that `npm run mutations` plants still has its place in the sources', async () => {
  const list = new URL('list.mjs', import.meta.url).href;
  const { MUTATIONS } = (await import(list)) as { MUTATIONS: readonly Mutation[] };
  expect(MUTATIONS.length).toBeGreaterThan(30);
  const stale = MUTATIONS.flatMap((mutation) =>
    (mutation.edits ?? [mutation])
      .filter(({ file, find }) => readFileSync(join(ROOT, file), 'utf8').split(find).length !== 2)
      .map(({ file }) => `${mutation.name}: ${file} does not hold the line once`),
  );
  expect(stale).toEqual([]);
});
