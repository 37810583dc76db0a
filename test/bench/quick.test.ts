import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { describe, expect, test } from '@jest/globals';

const run = promisify(execFile);
const root = new URL('../../', import.meta.url);

interface Package {
  readonly scripts: Readonly<Record<string, string>>;
}

const { scripts } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')) as Package;
const benches = Object.entries(scripts)
  .filter(([name]) => name.startsWith('bench:'))
  .map(([name, command]) => ({ name, file: command.split(' ').at(-1) ?? '' }));
// The committed profiles do: those of a corpus are large.
const { TEPHRA_CORPUS: _, ...env } = process.env;

describe('benches', () => {
  test('there are some', () => {
    expect(benches.length).toBeGreaterThan(4);
  });

  test.each(benches)(
    '$name runs through in its small size',
    async ({ file }) => {
      const { stdout } = await run(process.execPath, [file, '--quick', '--tiny'], {
        cwd: root,
        env,
      });
      expect(stdout).toMatch(/\d/u);
    },
    180_000,
  );
});
