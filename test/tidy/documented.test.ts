import { describe, expect, test } from '@jest/globals';
import { foldersWithoutReadme, undocumentedExports } from './documented.ts';
import { listFiles, readSources } from './source-file.ts';

const complaints = (text: string) => undocumentedExports({ path: 'src/a.ts', text });

describe('documentation', () => {
  test.each([
    'export const LIMIT = 5;',
    'export function run(): void {}',
    'export async function run() {}',
    'export class Store {}',
    'export interface Store {}',
    'export type Ticks = number;',
    '// A line comment is not enough.\nexport const LIMIT = 5;',
    '/** Far above. */\n\nexport const LIMIT = 5;',
  ])('%j lacks a doc comment', (text) => {
    expect(complaints(text)).toHaveLength(1);
  });

  test('a doc comment directly above is enough, for all overloads', () => {
    const text =
      '/** Runs. */\nexport function run(a: 1): void;\nexport function run(a: 2): void;\n';
    expect(complaints(text)).toEqual([]);
  });

  test('a run of constants shares the comment above its first', () => {
    expect(complaints('/** Ms. */\nexport const A = 1;\nexport const B = 2;')).toEqual([]);
    expect(complaints('/** Ms. */\nexport const A = 1;\n\nexport const B = 2;')).toHaveLength(1);
  });

  test('a folder of src without README.md is told', () => {
    const paths = ['src/a/README.md', 'src/a/b/c.ts', 'src/d/e.ts', 'src/app.ts'];
    expect(foldersWithoutReadme(paths)).toEqual(['src/d']);
  });

  test('every export is documented', () => {
    const sources = readSources('src');
    expect(sources.length).toBeGreaterThan(10);
    expect(sources.flatMap(undocumentedExports)).toEqual([]);
  });

  test('every folder of src has a README.md', () => {
    expect(foldersWithoutReadme(listFiles('src'))).toEqual([]);
  });
});
