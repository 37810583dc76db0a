/** Entry of the program; bin/tephra.cjs imports it. */
import { systemClock } from '../base/clock.ts';
import { EXIT } from './io.ts';
import { runCli } from './program.ts';

// A reader that has seen enough (`| head`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? EXIT.done : EXIT.failed);
});

process.exitCode = await runCli(process.argv.slice(2), {
  out: process.stdout,
  err: process.stderr,
  environment: process.env,
  clock: systemClock,
});
