import { type Command, Option } from 'commander';
import type { CliIo } from '../io.ts';
import { addServerFlags, type ServerFlags } from '../server-flags.ts';

/** Text that `tephra stream` reads. */
export const STREAM_FORMATS = ['folded', 'perf-script', 'bpftrace'] as const;

/** One of {@link STREAM_FORMATS}. */
export type StreamFormat = (typeof STREAM_FORMATS)[number];

/** Flags of `tephra stream`. */
export interface StreamFlags extends ServerFlags {
  readonly format: StreamFormat;
  readonly service: string;
  readonly label: readonly string[];
  readonly type: string;
  readonly rate?: string;
  readonly event?: string;
  readonly interval: string;
}

/** Adds `tephra stream`. */
export function addStream(program: Command, io: CliIo): void {
  const command = program
    .command('stream')
    .description('send the stacks that another tool prints, as they come, until its end or Ctrl-C')
    .addOption(
      new Option('--format <FORMAT>', 'what standard input is')
        .choices(STREAM_FORMATS)
        .default('folded'),
    )
    .option('--service <NAME>', 'service they belong to', 'unknown')
    .option('--label <K=V>', 'label of the series; may be repeated', collect, [])
    .option('--type <TYPE>', 'what is counted: cpu, wall, alloc_space, lock_duration, ...', 'cpu')
    .option(
      '--rate <HZ>',
      'samples a second of a CPU, which make time of counts (default: 100; perf-script 4000, bpftrace 99)',
    )
    .option('--event <NAME>', 'of perf-script: whose samples are taken (default: the first)')
    .option('--interval <TIME>', 'how often a batch is sent', '10s');
  addServerFlags(command)
    .addHelpText('after', EXAMPLES)
    .action(async (flags: StreamFlags) => {
      const { stream } = await import('./run.ts');
      await stream(flags, io);
    });
}

const EXAMPLES = `
Formats:
  folded       main;parse 12     (py-spy record -f raw, stackcollapse-*)
  perf-script  perf script; the command is the root. cpu-clock and task-clock say their time, others
               count by --rate
  bpftrace     @[kstack, ustack, comm] = count(), printed and cleared each interval

While the server is away 2 MiB of stacks wait in memory (of most tools half an hour), then the oldest are
dropped and counted. After Ctrl-C the rest of the input has 5 seconds. More: docs/agents-other.md

Examples:
  $ printf 'main;parse 12\\nmain;render 30\\n' | tephra stream --service report --type wall
  $ perf record -F 99 -g -o - -- make | perf script -i - | tephra stream --format perf-script --service build`;

function collect(value: string, earlier: readonly string[]): string[] {
  return [...earlier, value];
}
