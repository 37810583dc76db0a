import type { Command } from 'commander';
import { holdingTimers } from '../base/clock.ts';
import { systemFileSystem } from '../base/file-system.ts';
import { systemRandom } from '../base/random.ts';
import { counted } from './counted.ts';
import { EXIT, note, type CliIo } from './io.ts';
import { jsonText } from './json.ts';
import { createProgress } from './progress.ts';

interface VerifyFlags {
  readonly dataDir?: string;
  readonly deep?: boolean;
  readonly json?: boolean;
}

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
    .option('--json', 'tell findings and figures as JSON')
    .addHelpText('after', EXAMPLES)
    .action(async (flags: VerifyFlags) => {
      onVerified(await verify(flags, io));
    });
}

const EXAMPLES = `
Exit codes: 0 all is well, 1 could not be done (a server runs on it), 2 asked for wrongly,
3 something is damaged or lost: one line each on standard output.

Examples:
  $ tephra verify --data-dir ./data
  $ tephra verify --deep --json`;

async function verify(flags: VerifyFlags, io: CliIo): Promise<number> {
  const path = dataDirOf(flags.dataDir, io);
  const { verifyDirectory } = await import('../offline.ts');
  const startedMs = io.clock.monotonicMs();
  const shown = createProgress(io);
  const { findings, progress } = await verifyDirectory(
    path,
    flags.deep === true,
    { clock: io.clock, timers: holdingTimers, random: systemRandom, fs: systemFileSystem },
    ({ volumes, volumesDone, blobs, bytes }) => {
      const done = Math.floor((volumesDone / Math.max(1, volumes)) * BAR_WIDTH);
      const bar = '#'.repeat(done).padEnd(BAR_WIDTH, '.');
      shown.say(`[${bar}] ${volumesDone}/${volumes} volumes, ${blobs} blobs, ${mib(bytes)}`);
    },
  );
  shown.clear();
  if (flags.json === true) {
    const { blobs, bytes, volumes } = progress;
    const told = findings.map(({ kind, what, detail }) => ({ kind, what, detail }));
    const report = { kind: 'verify', well: findings.length === 0, blobs, bytes, volumes };
    for (const piece of jsonText({ ...report, findings: told })) io.out.write(piece);
  } else {
    for (const { kind, what, detail } of findings) io.out.write(`${kind} ${what}: ${detail}\n`);
  }
  const seconds = ((io.clock.monotonicMs() - startedMs) / 1_000).toFixed(1);
  note(
    io,
    `${counted(progress.blobs, 'blob')}, ${mib(progress.bytes)} in ${counted(progress.volumes, 'volume')}, ${seconds} s: ` +
      (findings.length === 0 ? 'all is well' : `${findings.length} damaged or lost`),
  );
  return findings.length === 0 ? EXIT.done : EXIT.damaged;
}

const BAR_WIDTH = 30;

/** The directory that a flag or the environment names. */
export function dataDirOf(flag: string | undefined, io: CliIo): string {
  return flag ?? io.environment['TEPHRA_DATA_DIR'] ?? './data';
}

function mib(bytes: number): string {
  return `${(bytes / MIB).toFixed(1)} MiB`;
}
