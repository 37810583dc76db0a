import { describe, expect, test } from '@jest/globals';
import { bannedComplaints } from './banned.ts';
import { readSources, withoutProse } from './source-file.ts';

const complaints = (text: string, path = 'src/query/a.ts') => bannedComplaints({ path, text });

describe('banned words', () => {
  test.each([
    'const now = Date.now();',
    'const now = new Date();',
    'const now = performance.now();',
    'setTimeout(run, 5);',
    'setImmediate(run);',
    'const dice = Math.random();',
    "import { randomBytes } from 'node:crypto';",
    'if (process.env.HOME) run();',
    'process.exit(1);',
    'if (error instanceof Error) run();',
    "throw new Error('invalid');",
    'const store = open({ multithreading: true });',
    'for await (const message of call) run(message);',
    "export * from './b.ts';",
    '// TODO: later',
    '// @ts-ignore',
  ])('%s is refused', (text) => {
    expect(complaints(text)).toHaveLength(1);
  });

  test.each([
    "throw new TephraError('not_found', 'no such profile');",
    'for await (const message of call.iterator({ destroyOnReturn: false })) run(message);',
    "// Date.now() is read by the clock alone; 'Math.random()' too.",
    "const text = 'setTimeout(';",
    'const script = `process.exit(0)`;',
    'const day = new Date(ms);',
    "export * as fc from 'fast-check';",
  ])('%s is fine', (text) => {
    expect(complaints(text)).toEqual([]);
  });

  test('an exception holds for its file or folder alone', () => {
    expect(complaints('Date.now()', 'src/base/clock.ts')).toEqual([]);
    expect(complaints('process.env', 'src/cli/serve.ts')).toEqual([]);
    expect(complaints('process.env', 'src/client/serve.ts')).toHaveLength(1);
  });

  test('a complaint names the line', () => {
    expect(complaints('a();\n/* long\n comment */\nMath.random();')[0]).toMatch(
      /^src\/query\/a\.ts:4:/,
    );
  });

  test('prose is blanked without moving a line', () => {
    expect(withoutProse("a('x'); // b\n/* c\n*/ d")).toBe('a(   );     \n    \n   d');
    expect(withoutProse('`http://${host}/x`')).toBe('`http://${host}/x`');
  });

  test('the product uses nothing that is banned', () => {
    const sources = readSources('src');
    expect(sources.length).toBeGreaterThan(10);
    expect(sources.flatMap(bannedComplaints)).toEqual([]);
  });
});
