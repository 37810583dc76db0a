import { Option, type Command } from 'commander';
import { CliError, EXIT, takesColor, type CliIo } from '../io.ts';
import type { OutputFlags } from '../output.ts';
import type { ServerFlags } from '../server-flags.ts';
import type { TextStyle } from '../forms/text-table.ts';
import { unitOf } from '../forms/units.ts';

/** Flags that say which profiles. */
export interface SelectFlags extends ServerFlags {
  readonly service?: string;
  readonly selector?: string;
  readonly from: string;
  readonly to: string;
}

/** Flags of `merge` and `top`. */
export interface MergeFlags extends SelectFlags, OutputFlags {
  readonly type?: string;
  readonly rows: number;
  readonly layout: 'icicle' | 'flame';
}

/** Flags of `diff`. */
export interface DiffFlags extends MergeFlags {
  readonly left?: string;
  readonly right?: string;
  readonly baseFrom?: string;
  readonly baseTo?: string;
  /** Part of the whole, 0 to 1. */
  readonly floor: number;
  readonly by: 'self' | 'total';
  readonly stacks: number;
}

/** Adds the flags of {@link SelectFlags}, but not those of the server. */
export function addSelectFlags(command: Command): Command {
  return command
    .option('--service <NAME>', 'only this service')
    .option('--selector <SELECTOR>', 'only series that match: {region="eu",pod=~"a.*"}')
    .option('--from <TIME>', 'begin: now-1h, 2026-08-01T12:00:00Z, Unix time', 'now-1h')
    .option('--to <TIME>', 'end, the same', 'now');
}

/** Adds the flag that names a profile type. */
export function addTypeFlag(command: Command): Command {
  return command.option(
    '--type <ID>',
    'name:type:unit:period_type:period_unit, or its type alone: cpu (default: the likeliest, told)',
  );
}

/** Adds the flags of tables and pictures. */
export function addDrawingFlags(command: Command, rows: number): Command {
  return command
    .option('--rows <N>', 'rows of a table at most', parseCount('--rows'), rows)
    .addOption(
      new Option('--layout <LAYOUT>', 'of an SVG: roots at the top or at the bottom')
        .choices(['icicle', 'flame'])
        .default('icicle'),
    );
}

/** Reads a whole number from 0 to a million. */
export function parseCount(flag: string): (text: string) => number {
  return (text) => {
    if (/^\d{1,6}$/.test(text)) return Number(text);
    throw new CliError(
      `${flag}: expected a whole number, found ${JSON.stringify(text)}`,
      EXIT.usage,
    );
  };
}

/** Reads `0.1%` as 0.001. */
export function parsePercent(flag: string): (text: string) => number {
  return (text) => {
    const match = /^(\d{1,3}(?:\.\d{1,6})?)%?$/.exec(text);
    const part = Number(match?.[1]) / 100;
    if (match !== null && part <= 1 && (text.endsWith('%') || part === 0)) return part;
    throw new CliError(
      `${flag}: expected 0% to 100%, for example 0.5%, found ${JSON.stringify(text)}`,
      EXIT.usage,
    );
  };
}

/** Lines of a file or a pipe are as long as names are, within reason. */
const WIDTH_MAX = 1_000;

/** How text is written where this answer goes. */
export function textStyle(
  flags: OutputFlags & { rows: number },
  type: string,
  io: CliIo,
): TextStyle {
  const toTerminal = flags.out === undefined && io.out.isTTY === true;
  return {
    unit: unitOf(type),
    color: toTerminal && takesColor(io, io.out),
    width: toTerminal ? (io.out.columns ?? 80) : WIDTH_MAX,
    rows: flags.rows,
  };
}
