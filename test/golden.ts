import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, expect, test } from '@jest/globals';

/** One case of a golden file: `command key=value …`, input lines, `----`, expected lines. */
export interface GoldenCase {
  readonly command: string;
  readonly args: Readonly<Record<string, string>>;
  readonly input: readonly string[];
}

interface Chunk {
  /** Everything up to and with `----`, or a chunk of comments alone. */
  readonly head: readonly string[];
  readonly expected: readonly string[];
}

/**
 * Makes one test of each case of a golden file: `run` gives the lines that are expected below
 * `----`. Cases are separated by blank lines; lines that begin with `#` are comments. With UPDATE=1
 * the expectations are rewritten instead, and whoever commits reads the diff.
 */
export function dataDriven(file: string, run: (one: GoldenCase) => readonly string[]): void {
  const update = process.env['UPDATE'] === '1';
  const chunks = parse(readFileSync(file, 'utf8'));
  const written: string[] = [];
  for (const [i, chunk] of chunks.entries()) {
    const lines = chunk.head.filter((line) => !line.startsWith('#') && line !== '----');
    const [first, ...input] = lines;
    if (first === undefined) {
      written[i] = chunk.head.join('\n');
      continue;
    }
    const [command = '', ...pairs] = first.split(' ');
    const args = Object.fromEntries(pairs.map((pair) => splitPair(pair)));
    test(`${file}: ${first}`, () => {
      const actual = run({ command, args, input });
      written[i] = [...chunk.head, ...actual].join('\n');
      if (!update) expect(actual).toEqual(chunk.expected);
    });
  }
  if (chunks.length === 0) throw new Error(`${file} holds no cases`);
  afterAll(() => {
    if (update) writeFileSync(file, `${written.join('\n\n')}\n`);
  });
}

function parse(text: string): Chunk[] {
  const chunks: Chunk[] = [];
  for (const part of text.split(/\n{2,}/)) {
    const lines = part.split('\n').filter((line) => line !== '');
    if (lines.length === 0) continue;
    const separator = lines.indexOf('----');
    const isComment = lines.every((line) => line.startsWith('#'));
    if (separator < 0 && !isComment) lines.push('----');
    const end = separator < 0 ? lines.length : separator + 1;
    chunks.push({ head: lines.slice(0, end), expected: lines.slice(end) });
  }
  return chunks;
}

function splitPair(pair: string): [string, string] {
  const at = pair.indexOf('=');
  return at < 0 ? [pair, ''] : [pair.slice(0, at), pair.slice(at + 1)];
}
