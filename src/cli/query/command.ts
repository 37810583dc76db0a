import { Option, type Command } from 'commander';
import type { CliIo } from '../io.ts';
import { addOutputFlags, FORMS, type Form } from '../output.ts';
import { addServerFlags } from '../server-flags.ts';
import {
  addDrawingFlags,
  addSelectFlags,
  addTypeFlag,
  parseCount,
  parsePercent,
  type DiffFlags,
  type MergeFlags,
} from './flags.ts';
import type { LabelsFlags } from './labels.ts';
import type { SeriesFlags } from './series.ts';

const ALL_FORMS = Object.keys(FORMS) as Form[];

/** Adds `tephra query top|merge|diff|series|labels`. What runs them is loaded when it is wanted. */
export function addQuery(program: Command, io: CliIo): void {
  const query = program
    .command('query')
    .description('ask what used it, and what changed')
    .addHelpText('after', EXAMPLES.query);
  addMerged(query, 'top', 'functions by what they used themselves', io);
  addMerged(query, 'merge', 'the call tree of all matching profiles, merged', io);
  addDiff(query, io);
  addSeries(query, io);
  addLabels(query, io);
}

function addMerged(query: Command, kind: 'top' | 'merge', what: string, io: CliIo): void {
  const command = query
    .command(kind)
    .description(what)
    .argument('[FILE]', 'a profile on this disk, pprof or folded; no server is asked then');
  addTypeFlag(addSelectFlags(command));
  addDrawingFlags(addOutputFlags(command, ALL_FORMS), 40);
  addServerFlags(command)
    .addHelpText('after', EXAMPLES[kind])
    .action(async (file: string | undefined, flags: MergeFlags) => {
      const { runMerge } = await import('./merge.ts');
      await runMerge(kind, file, flags, io);
    });
}

function addDiff(query: Command, io: CliIo): void {
  const command = query
    .command('diff')
    .description(
      'what changed from the left side to the right one, by function and by stack\n\n' +
        'A side is a FILE (pprof or folded), or any of [URL] [{SELECTOR}] [FROM..TO], a question to a\n' +
        'server; what it does not say comes from --server, --service, --selector, --from and --to.\n' +
        'Without --left it is the time just before the right side.',
    )
    .option('--left <SIDE>', 'what it was')
    .option('--right <SIDE>', 'what it is now (default: --from to --to)');
  addTypeFlag(addSelectFlags(command));
  command
    .option('--base-from <TIME>', 'begin of the left side, in place of --left')
    .option('--base-to <TIME>', 'its end (default: --from)')
    .option(
      '--floor <PERCENT>',
      'smaller changes, as part of the total, are folded into one line and have no colour',
      parsePercent('--floor'),
      0.001,
    )
    .addOption(
      new Option('--by <WHAT>', 'functions by what they used themselves, or with their callees')
        .choices(['self', 'total'])
        .default('self'),
    )
    .option('--stacks <N>', 'stacks of a table at most', parseCount('--stacks'), 10);
  const floor = command.options.find(({ long }) => long === '--floor');
  floor?.default(0.001, '0.1%');
  addDrawingFlags(addOutputFlags(command, ALL_FORMS), 20);
  addServerFlags(command)
    .addHelpText('after', EXAMPLES.diff)
    .action(async (flags: DiffFlags) => {
      const { runDiff } = await import('./diff.ts');
      await runDiff(flags, io);
    });
}

function addSeries(query: Command, io: CliIo): void {
  const command = query.command('series').description('values over time, by group');
  addTypeFlag(addSelectFlags(command));
  command
    .option('--group-by <LABEL>', 'a line for each value; may be repeated', collect, [])
    .option('--step <DURATION>', '15s, 1m, 1h (default: about 60 steps)')
    .option('--limit <N>', 'lines with the largest sums; 0 = all', parseCount('--limit'), 20);
  addOutputFlags(command, ['table', 'json']);
  addServerFlags(command)
    .addHelpText('after', EXAMPLES.series)
    .action(async (flags: SeriesFlags) => {
      const { runSeries } = await import('./series.ts');
      await runSeries(flags, io);
    });
}

function addLabels(query: Command, io: CliIo): void {
  const command = query
    .command('labels')
    .description('names of labels, or the values of one')
    .argument('[NAME]', 'the label whose values are wanted: service_name, __profile_type__');
  addSelectFlags(command);
  addOutputFlags(command, ['table', 'json']);
  addServerFlags(command)
    .addHelpText('after', EXAMPLES.labels)
    .action(async (name: string | undefined, flags: LabelsFlags) => {
      const { runLabels } = await import('./labels.ts');
      await runLabels(name, flags, io);
    });
}

function collect(value: string, earlier: readonly string[]): string[] {
  return [...earlier, value];
}

const FORMS_HELP = `
The end of FILE chooses the form: ${ALL_FORMS.map((form) => FORMS[form][0]).join(' ')}`;

const EXAMPLES = {
  query: `
Examples:
  $ tephra query top --service shop
  $ tephra query merge --service shop -o shop.svg
  $ tephra query diff --service shop --left now-2h..now-1h --right now-1h..now`,
  top: `${FORMS_HELP}

Examples:
  $ tephra query top --service shop
  $ tephra query top --selector '{region="eu"}' --type cpu --rows 10
  $ tephra query top cpu.pb.gz --json`,
  merge: `${FORMS_HELP}

Examples:
  $ tephra query merge --service shop --from now-6h -o shop.svg
  $ tephra query merge --service shop -o shop.pb.gz
  $ tephra query merge --service shop --format folded | sort
  $ tephra query merge cpu.pb.gz -o cpu.speedscope.json`,
  diff: `${FORMS_HELP}
A folded diff has the left value and the right one. A pprof one has the left side's samples with negative
values, as go tool pprof -diff_base makes it. A speedscope file has both sides.

Examples:
  $ tephra query diff --left before.pb.gz --right after.pb.gz
  $ tephra query diff --service shop --left now-2h..now-1h --right now-1h..now
  $ tephra query diff --left '{version="1.4"}' --right '{version="1.5"}' -o release.svg
  $ tephra query diff --service shop --left "$STAGING now-1h..now" --right "$PRODUCTION now-1h..now"
  $ tephra query diff --service shop --base-from now-25h --base-to now-24h --floor 1%`,
  series: `
Examples:
  $ tephra query series --service shop --step 1m
  $ tephra query series --group-by service_name --from now-6h --json`,
  labels: `
Examples:
  $ tephra query labels
  $ tephra query labels service_name
  $ tephra query labels __profile_type__ --service shop --json`,
} as const;
