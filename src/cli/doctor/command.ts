import type { Command } from 'commander';
import { addConfigFlags } from '../config-flags.ts';
import type { CliIo } from '../io.ts';

/** Adds `tephra doctor`; `onExamined` is told the exit code. */
export function addDoctor(
  program: Command,
  io: CliIo,
  onExamined: (exitCode: number) => void,
): void {
  const command = program
    .command('doctor')
    .description('look whether a server runs well here, and say what to do where it does not')
    .option('--json', 'findings as JSON');
  addConfigFlags(command)
    .addHelpText('after', EXAMPLES)
    .action(async (options: Record<string, unknown>) => {
      const { runDoctor } = await import('./doctor.ts');
      onExamined(await runDoctor(options, io));
    });
}

const EXAMPLES = `
Looks at Node, native modules, data directory, lock, space, clock, port, memory, open files and variables;
takes the flags of serve. Exit codes: 0 a server runs here (there may be warnings), 4 it would not.

Examples:
  $ tephra doctor
  $ tephra doctor --data-dir ./data --listen 127.0.0.1:0
  $ tephra doctor --json`;
