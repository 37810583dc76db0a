import type { Command } from 'commander';
import type { CliIo } from './io.ts';
import { addServerFlags, type ServerFlags } from './server-flags.ts';

/** Flags of `tephra push`. */
export interface PushFlags extends ServerFlags {
  readonly service?: string;
  readonly label: readonly string[];
  readonly at: string;
  readonly json?: boolean;
}

/** Adds `tephra push`. */
export function addPush(program: Command, io: CliIo): void {
  const command = program
    .command('push')
    .description(
      'send profiles: pprof (gzip or plain), or folded stacks (.txt, .folded, .collapsed)',
    )
    .argument('<FILE...>', 'profiles to send; - is standard input')
    .option(
      '--service <NAME>',
      'service they belong to (default: name of each file up to its first dot)',
    )
    .option('--label <K=V>', 'label of the series; may be repeated', collect, [])
    .option(
      '--at <TIME>',
      'when it was: now, file (the time in the profile), now-2h, 2026-08-01T12:00:00Z',
      'now',
    )
    .option('--json', 'tell as JSON what was stored');
  addServerFlags(command)
    .addHelpText('after', EXAMPLES)
    .action(async (files: string[], flags: PushFlags) => {
      const { push } = await import('./push-files.ts');
      await push(files, flags, io);
    });
}

const EXAMPLES = `
Folded stacks count as CPU samples at 100 Hz. Sending a file again with the same --at TIME or --at file
counts once.

Examples:
  $ tephra push cpu.pb.gz --service shop
  $ tephra push *.pb.gz --service shop --label region=eu --label version=1.4
  $ tephra push stacks.folded --service shop --at now-2h
  $ printf 'main;parse 12\\nmain;render 30\\n' | tephra push - --service report`;

function collect(value: string, earlier: readonly string[]): string[] {
  return [...earlier, value];
}
