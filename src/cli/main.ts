/** Entry of the program; bin/tephra.cjs imports it. */
import { systemClock, systemTimers } from '../base/clock.ts';
import { EXIT } from './io.ts';
import { runCli } from './program.ts';

// A reader that has seen enough (`| head`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? EXIT.done : EXIT.failed);
});

process.exitCode = await runCli(process.argv.slice(2), {
  out: process.stdout,
  err: process.stderr,
  input: readInput,
  inputStream: () => process.stdin,
  environment: process.env,
  clock: systemClock,
  timers: systemTimers,
});

async function readInput(): Promise<Uint8Array> {
  const pieces: Buffer[] = [];
  for await (const piece of process.stdin) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
}
