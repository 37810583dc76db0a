import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';

const run = promisify(execFile);
const script = fileURLToPath(new URL('../../../bench/hostile.mjs', import.meta.url));

test('hostile connections cost little memory while a good client is served', async () => {
  const kinds = ['DATA frames', 'open streams', 'never read, HTTP/2'];
  const { stdout } = await run(process.execPath, [script, '--quick', ...kinds]);
  expect(stdout).toContain('failed good calls: 0');
}, 90_000);
