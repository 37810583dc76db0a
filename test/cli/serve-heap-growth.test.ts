/** `tephra serve` bounds the growth of its heap (test/cli/heap-growth.test.ts says what that is worth). */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { LIMITS } from '../../src/base/limits.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** Tells the flags that V8 is given; V8 itself does not say which it has. */
const LISTENING = `
import v8 from 'node:v8';
import { syncBuiltinESMExports } from 'node:module';
const { setFlagsFromString } = v8;
v8.setFlagsFromString = (flag) => {
  process.stderr.write('V8 was given ' + flag + '\\n');
  setFlagsFromString(flag);
};
syncBuiltinESMExports();
`;

test('serve has V8 bound its heap before it opens what is stored', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tephra-heap-growth-'));
  const file = join(folder, 'no-directory');
  writeFileSync(file, '');
  const run = spawnSync(
    process.execPath,
    [
      '--disable-warning=ExperimentalWarning',
      '--import',
      './test/support/typescript.mjs',
      '--import',
      `data:text/javascript,${encodeURIComponent(LISTENING)}`,
      'src/cli/main.ts',
      'serve',
      '--listen=127.0.0.1:0',
      `--data-dir=${file}`,
    ],
    { cwd: ROOT, encoding: 'utf8' },
  );
  rmSync(folder, { recursive: true });
  // It could not start: that is late enough.
  expect(run.status).not.toBe(0);
  expect(run.stderr).toContain(`V8 was given --heap-growing-percent=${LIMITS.heapGrowthPercent}\n`);
});
