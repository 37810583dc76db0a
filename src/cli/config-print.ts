import type { Command } from 'commander';
import type { ExplainedConfig } from '../config/load.ts';
import { CONFIG_KEYS, settingMeta, type ConfigKey } from '../config/schema.ts';
import { addConfigFlags, configOf } from './config-flags.ts';
import { tableLines } from './forms/text-table.ts';
import { takesColor, type CliIo } from './io.ts';
import { jsonText } from './json.ts';

/** Adds `tephra config print`. */
export function addConfig(program: Command, io: CliIo): void {
  const config = program
    .command('config')
    .description('look at the configuration of a server')
    .addHelpText('after', EXAMPLES);
  const print = config
    .command('print')
    .description('what `tephra serve` would run with, given the same flags, variables and file')
    .option('--json', 'as a file that --config takes');
  addConfigFlags(print)
    .addHelpText('after', EXAMPLES)
    .action(({ json, ...options }: Record<string, unknown>) => {
      const explained = configOf(options, io);
      const rows = CONFIG_KEYS.map((key) => ({ key, value: valueOf(key, explained) }));
      if (json === true) {
        const present = rows.filter(({ value }) => value !== undefined);
        const file = Object.fromEntries(present.map(({ key, value }) => [key, value]));
        for (const piece of jsonText(file)) io.out.write(piece);
        return;
      }
      const fromOf = (key: ConfigKey): string => explained.given.get(key)?.from ?? 'default';
      const widest = (texts: readonly string[]): number =>
        Math.max(...texts.map((text) => text.length));
      const keyWidth = widest(CONFIG_KEYS);
      const fromWidth = widest(CONFIG_KEYS.map(fromOf));
      const lines = tableLines(
        ['key'.padEnd(keyWidth), 'from'.padEnd(fromWidth), 'value'],
        rows.map(({ key, value }) => ({
          cells: [
            key.padEnd(keyWidth),
            fromOf(key).padEnd(fromWidth),
            String(value ?? settingMeta(key).shownDefault),
          ],
        })),
        { color: takesColor(io, io.out), width: Infinity },
      );
      io.out.write(`${lines.join('\n')}\n`);
    });
}

const EXAMPLES = `
Examples:
  $ tephra config print
  $ TEPHRA_RETENTION_RAW=12h tephra config print --max-body 16MiB
  $ tephra config print --json > tephra.json`;

/** The value as the file takes it; undefined = not set, the machine decides. */
function valueOf(key: ConfigKey, { config, given }: ExplainedConfig): string | boolean | undefined {
  const value = config[key];
  if (value === undefined || typeof value === 'boolean') return value;
  return given.get(key)?.text ?? settingMeta(key).shownDefault;
}
