import type { Command } from 'commander';
import { holdingTimers } from '../base/clock.ts';
import { systemFileSystem } from '../base/file-system.ts';
import { systemRandom } from '../base/random.ts';
import { EXIT, note, type CliIo } from './io.ts';

interface VerifyFlags {
  readonly dataDir?: string;
  readonly deep?: boolean;
}

/** A check that lasts this long begins to tell how far it is. */
const PATIENCE_MS = 2_000;
const MIB = 1024 * 1024;

/** Adds `tephra verify`; `onVerified` is told the exit code. */
export function addVerify(
  program: Command,
  io: CliIo,
  onVerified: (exitCode: number) => void,
): void {
  program
    .command('verify')
    .description('read all that a stopped server has stored, and tell what is damaged or lost')
    .option('--data-dir <DIR>', 'the data directory (env TEPHRA_DATA_DIR; default ./data)')
    .option('--deep', 'decode every column and dictionary too, and compare sums with totals')
    .addHelpText('after', EXAMPLES)
    .action(async (flags: VerifyFlags) => {
      onVerified(await verify(flags, io));
    });
}

const EXAMPLES = `
Exit codes: 0 all is well, 1 could not be done (a server runs on it), 2 asked for wrongly,
3 something is damaged or lost: one line each on standard output.

Examples:
  $ tephra verify --data-dir /var/lib/tephra
  $ tephra verify --deep`;

async function verify(flags: VerifyFlags, io: CliIo): Promise<number> {
  const path = dataDirOf(flags.dataDir, io);
  const { verifyDirectory } = await import('../offline.ts');
  const startedMs = io.clock.monotonicMs();
  let toldMs = startedMs + PATIENCE_MS - TELL_MS;
  let told = false;
  const { findings, progress } = await verifyDirectory(
    path,
    flags.deep === true,
    { clock: io.clock, timers: holdingTimers, random: systemRandom, fs: systemFileSystem },
    ({ volumes, volumesDone, blobs, bytes }) => {
      const nowMs = io.clock.monotonicMs();
      if (io.err.isTTY !== true || nowMs - toldMs < TELL_MS) return;
      toldMs = nowMs;
      told = true;
      const done = Math.floor((volumesDone / Math.max(1, volumes)) * BAR_WIDTH);
      const bar = '#'.repeat(done).padEnd(BAR_WIDTH, '.');
      io.err.write(`\r[${bar}] ${volumesDone}/${volumes} volumes, ${blobs} blobs, ${mib(bytes)}`);
    },
  );
  if (told) io.err.write('\n');
  for (const { kind, what, detail } of findings) io.out.write(`${kind} ${what}: ${detail}\n`);
  const seconds = ((io.clock.monotonicMs() - startedMs) / 1_000).toFixed(1);
  note(
    io,
    `${progress.blobs} blobs, ${mib(progress.bytes)} in ${progress.volumes} volumes, ${seconds} s: ` +
      (findings.length === 0 ? 'all is well' : `${findings.length} damaged or lost`),
  );
  return findings.length === 0 ? EXIT.done : EXIT.damaged;
}

const TELL_MS = 250;
const BAR_WIDTH = 30;

/** The directory that a flag or the environment names. */
export function dataDirOf(flag: string | undefined, io: CliIo): string {
  return flag ?? io.environment['TEPHRA_DATA_DIR'] ?? './data';
}

function mib(bytes: number): string {
  return `${(bytes / MIB).toFixed(1)} MiB`;
}
