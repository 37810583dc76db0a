/** Entry of the program; bin/tephra.cjs imports it. */
import { systemClock } from '../base/clock.ts';
import { runCli } from './program.ts';

process.exitCode = await runCli(process.argv.slice(2), {
  out: process.stdout,
  err: process.stderr,
  environment: process.env,
  clock: systemClock,
});
