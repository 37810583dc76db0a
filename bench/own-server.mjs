/** A server of a bench's own, whose process it looks at. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = process.env.TEPHRA_BUILD ?? fileURLToPath(new URL('../dist/', import.meta.url));

/** Starts `tephra serve` of `TEPHRA_BUILD`, or of the present build, over a directory, with further flags. */
export async function startServer(dataDir, flags = []) {
  const server = spawn(
    process.execPath,
    [
      join(ROOT, 'cli/main.js'),
      'serve',
      '--no-self-profile',
      '--listen=127.0.0.1:0',
      `--data-dir=${dataDir}`,
      ...flags,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, NO_COLOR: '1' } },
  );
  const port = await new Promise((resolve, reject) => {
    let text = '';
    server.stdout.on('data', (chunk) => {
      text += chunk;
      const found = /"address":"127\.0\.0\.1:(\d+)"/.exec(text);
      if (found) resolve(Number(found[1]));
    });
    server.once('exit', () => reject(new Error('the server ended')));
  });
  return { server, port };
}
