/**
 * Fails when src/gen/ is not what `npm run generate` makes of proto/. Generates into a temporary
 * folder and compares, so that the check changes nothing.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const scratch = mkdtempSync(join(tmpdir(), 'tephra-generated-'));
try {
  const { status } = spawnSync('buf', ['generate', '--output', scratch], {
    cwd: root,
    stdio: 'inherit',
    shell: process.platform === 'win32',
  });
  if (status !== 0) throw new Error('buf generate failed');
  const made = contents(join(scratch, 'src', 'gen'));
  const committed = contents(join(root, 'src', 'gen'));
  const stale = [...new Set([...made.keys(), ...committed.keys()])].filter(
    (path) => made.get(path) !== committed.get(path),
  );
  for (const path of stale) process.stderr.write(`src/gen/${path} is not up to date\n`);
  if (made.size === 0) process.stderr.write('nothing was generated\n');
  if (stale.length > 0 || made.size === 0) {
    process.stderr.write('run `npm run generate` and commit the result\n');
    process.exitCode = 1;
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

/** Text of every file below `folder`, by its path from there. */
function contents(folder) {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true });
  return new Map(
    files
      .filter((file) => file.isFile() && file.name !== 'README.md')
      .map((file) => {
        const path = join(file.parentPath ?? file.path, file.name);
        return [path.slice(folder.length + 1), readFileSync(path, 'utf8')];
      }),
  );
}
