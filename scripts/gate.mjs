/**
 * The part of the gate that runs no tests: format, lint, types, generated code. Runs every step even
 * when an earlier one failed, and prints the output of those that fail.
 */
import { spawnSync } from 'node:child_process';

const STEPS = ['format:check', 'lint', 'types', 'generate:check'];

const failed = STEPS.filter((step) => !passes(step));
if (failed.length > 0) {
  process.stdout.write(`gate: ${failed.join(', ')} failed\n`);
  process.exitCode = 1;
}

function passes(step) {
  const begun = performance.now();
  const npm = process.env.npm_execpath;
  const { status, stdout, stderr } =
    npm === undefined
      ? spawnSync('npm', ['run', '--silent', step], { shell: process.platform === 'win32' })
      : spawnSync(process.execPath, [npm, 'run', '--silent', step]);
  const seconds = ((performance.now() - begun) / 1000).toFixed(1);
  process.stdout.write(`gate: ${step} ${status === 0 ? 'ok' : 'FAILED'} (${seconds} s)\n`);
  if (status !== 0) process.stdout.write(Buffer.concat([stdout, stderr]));
  return status === 0;
}
