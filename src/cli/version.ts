import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import type { CliIo } from './io.ts';
import { jsonText } from './json.ts';

/** Version of this package. */
export function packageVersion(): string {
  const text = readFileSync(join(import.meta.dirname, '..', '..', 'package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

/** Adds `tephra version`. */
export function addVersion(program: Command, io: CliIo): void {
  program
    .command('version')
    .description('version of Tephra and of what runs it')
    .option('--json', 'as JSON')
    .addHelpText('after', EXAMPLES)
    .action((flags: { readonly json?: boolean }) => {
      const told = {
        version: packageVersion(),
        node: process.versions.node,
        platform: `${process.platform}-${process.arch}`,
      };
      if (flags.json === true) {
        for (const piece of jsonText(told)) io.out.write(piece);
      } else {
        io.out.write(`tephra ${told.version} (node ${told.node}, ${told.platform})\n`);
      }
    });
}

const EXAMPLES = `
Examples:
  $ tephra version
  $ tephra version --json`;
