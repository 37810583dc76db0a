import { readFile, stat } from 'node:fs/promises';
import type { Command } from 'commander';
import { holdingTimers } from '../base/clock.ts';
import { systemFileSystem } from '../base/file-system.ts';
import { systemRandom } from '../base/random.ts';
import type { CliIo } from './io.ts';
import { jsonText } from './json.ts';
import { dataDirOf } from './verify.ts';

interface InspectFlags {
  readonly dataDir?: string;
  readonly list?: boolean;
  readonly json?: boolean;
}

/** Adds `tephra inspect`. */
export function addInspect(program: Command, io: CliIo): void {
  program
    .command('inspect')
    .description('show a stored blob or root as text, from a file or from a stopped server')
    .argument('<BLOB>', 'a file, or a key as `tephra verify` and the notes of answers name it')
    .option('--data-dir <DIR>', 'the data directory (env TEPHRA_DATA_DIR; default ./data)')
    .option('--list', 'list the keys that begin with BLOB instead')
    .option('--json', 'the same lines as JSON')
    .addHelpText('after', EXAMPLES)
    .action(async (blob: string, flags: InspectFlags) => {
      const lines = await inspect(blob, flags, io);
      const kind = flags.list === true ? 'keys' : 'inspect';
      const told = flags.json === true ? jsonText({ kind, blob, lines }) : lines.map(ended);
      for (const piece of told) io.out.write(piece);
    });
}

const EXAMPLES = `
Examples:
  $ tephra inspect --list raw/
  $ tephra inspect "$KEY" --json              # one of those keys`;

function ended(line: string): string {
  return `${line}\n`;
}

async function inspect(blob: string, flags: InspectFlags, io: CliIo): Promise<readonly string[]> {
  const { inspectBytes, inspectKey, listKeys } = await import('../offline.ts');
  const deps = {
    clock: io.clock,
    timers: holdingTimers,
    random: systemRandom,
    fs: systemFileSystem,
  };
  const path = dataDirOf(flags.dataDir, io);
  if (flags.list === true) return listKeys(path, blob, deps);
  const isFile = await stat(blob).then(
    (stats) => stats.isFile(),
    () => false,
  );
  return isFile ? inspectBytes(await readFile(blob)) : inspectKey(path, blob, deps);
}
