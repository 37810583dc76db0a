import type { Command } from 'commander';
import { addConfigFlags } from './config-flags.ts';
import type { CliIo } from './io.ts';

/** Adds `tephra serve`; `onServed` is told the exit code once the server has stopped. */
export function addServe(program: Command, io: CliIo, onServed: (exitCode: number) => void): void {
  const command = program
    .command('serve')
    .description('start the server: one process, one port, one directory');
  addConfigFlags(command).addHelpText('after', EXAMPLES);
  command.action(async (options: Record<string, unknown>) => {
    const { serve } = await import('./serve-run.ts');
    onServed(await serve(options, io));
  });
}

const EXAMPLES = `
Examples:
  $ tephra serve
  $ tephra serve --listen 127.0.0.1:0 --data-dir ./data     # a port that is free
  $ TEPHRA_RETENTION_RAW=12h tephra serve --log-level debug

The same as a file, and what each key means: docs/configuration.md. Is all well with\nthis machine? tephra doctor`;
