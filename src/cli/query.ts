import { writeFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { toBinary } from '@bufbuild/protobuf';
import { Option, type Command } from 'commander';
import { isErrorLike, TephraError } from '../base/errors.ts';
import { LIMITS } from '../base/limits.ts';
import { parseTime } from '../base/parse-time.ts';
import { type Profile, ProfileSchema } from '../gen/google/v1/profile_pb.ts';
import { stacksOf, treeOfDiff, treeOfFlameGraph, type CallNode } from './call-tree.ts';
import { calling, querier, serverUrl } from './client.ts';
import { chooseType } from './choose-type.ts';
import { diffProfile } from './diff-pprof.ts';
import { CliError, EXIT, note, takesColor, type CliIo } from './io.ts';
import { diffTable, mergeTable, topTable, type TableStyle } from './tables.ts';
import { unitOf } from './units.ts';

interface QueryOptions {
  readonly type?: string;
  readonly service?: string;
  readonly selector?: string;
  readonly from: string;
  readonly to: string;
  readonly baseFrom?: string;
  readonly baseTo?: string;
  readonly format: 'table' | 'folded' | 'pprof';
  readonly out?: string;
  readonly server?: string;
}

type Kind = 'merge' | 'diff' | 'top';

/** Adds `tephra query merge|diff|top`. */
export function addQuery(program: Command, io: CliIo): void {
  const query = program
    .command('query')
    .description('ask what used it, and what changed')
    .addHelpText('after', EXAMPLES);
  for (const [kind, what] of [
    ['top', 'functions by what they used themselves'],
    ['merge', 'the call tree of all matching profiles, merged'],
    ['diff', 'what changed against a baseline'],
  ] as const) {
    const command = query
      .command(kind)
      .description(what)
      .option('--service <NAME>', 'only this service')
      .option(
        '--selector <SELECTOR>',
        'only series that match, for example {region="eu",pod=~"a.*"}',
      )
      .option(
        '--type <ID>',
        'profile type name:type:unit:period_type:period_unit (default: chosen and told)',
      )
      .option('--from <TIME>', 'begin: now-1h, 2026-08-01T12:00:00Z, Unix time', 'now-1h')
      .option('--to <TIME>', 'end, the same', 'now')
      .option('--out <FILE>', 'write there instead of to standard output')
      .option('--server <URL>', 'server to ask (env TEPHRA_SERVER; default http://127.0.0.1:4040)');
    if (kind === 'diff') {
      command
        .option(
          '--base-from <TIME>',
          'begin of the baseline (default: as long before as --from to --to)',
        )
        .option('--base-to <TIME>', 'end of the baseline (default: --from)');
    }
    command
      .addOption(
        new Option('--format <FORMAT>', 'how to write it')
          .choices(['table', 'folded', 'pprof'])
          .default('table'),
      )
      .addHelpText('after', EXAMPLES)
      .action(async (options: QueryOptions) => {
        await runQuery(kind, options, io);
      });
  }
}

const EXAMPLES = `
Folded output has one stack a line and its value; of a diff: the baseline's value and the other one.
A pprof of a diff has the baseline's samples with negative values, as go tool pprof -diff_base makes it.

Examples:
  $ tephra query top --service shop
  $ tephra query merge --service shop --from now-6h --format pprof --out shop.pb.gz
  $ tephra query diff --service shop --base-from now-25h --base-to now-24h
  $ tephra query top --selector '{region="eu"}' --type process_cpu:cpu:nanoseconds:cpu:nanoseconds`;

async function runQuery(kind: Kind, options: QueryOptions, io: CliIo): Promise<void> {
  const server = serverUrl(options.server, io);
  const client = querier(server);
  const range = timeRange(options.from, options.to, ['--from', '--to'], io);
  const base = baseRange(range, options, io);
  const labelSelector = selectorOf(options);
  const whole = kind === 'diff' ? { start: minOf(base.start, range.start), end: range.end } : range;
  const profileTypeID = await calling(server, () =>
    chooseType(client, options.type, labelSelector, whole, io),
  );
  const notes = new Headers();
  const call = {
    onHeader: (headers: Headers) => headers.forEach((value, name) => notes.set(name, value)),
  };
  // Tables and stacks need every node: nothing may be folded into "other".
  const maxNodes = BigInt(LIMITS.flameGraphNodesMax);
  const fields = { profileTypeID, labelSelector, maxNodes };
  const style = { unit: unitOf(profileTypeID), color: takesColor(io, io.out) };

  let answer: string | Uint8Array;
  if (options.format === 'pprof') {
    const merged = ({ start, end }: Range): Promise<Profile> =>
      calling(server, () =>
        client.selectMergeProfile({ profileTypeID, labelSelector, start, end }, call),
      );
    const now = await merged(range);
    const profile = kind === 'diff' ? diffProfile(await merged(base), now) : now;
    if (profile.sample.length === 0) throw noData(labelSelector, profileTypeID);
    answer = gzipSync(toBinary(ProfileSchema, profile));
    if (options.out === undefined && io.out.isTTY === true) {
      throw new CliError('pprof is binary: name a file with --out FILE, or use a pipe', EXIT.usage);
    }
  } else if (kind === 'diff') {
    const request = { left: { ...fields, ...base }, right: { ...fields, ...range } };
    const { flamegraph } = await calling(server, () => client.diff(request, call));
    const root = flamegraph === undefined ? undefined : treeOfDiff(flamegraph);
    if (root === undefined || root.total + root.baseTotal === 0n) {
      throw noData(labelSelector, profileTypeID);
    }
    answer = options.format === 'folded' ? folded(root, true) : diffTable(root, style);
  } else {
    const request = { ...fields, ...range };
    const { flamegraph } = await calling(server, () =>
      client.selectMergeStacktraces(request, call),
    );
    const root = flamegraph === undefined ? undefined : treeOfFlameGraph(flamegraph);
    if (root === undefined || root.total === 0n) throw noData(labelSelector, profileTypeID);
    answer = options.format === 'folded' ? folded(root, false) : tableOf(kind, root, style);
  }
  if (notes.get('tephra-exact') === 'false') {
    note(io, `the answer is not exact: ${notes.get('tephra-notes') ?? ''}`);
  }
  await deliver(answer, options.out, io);
}

function tableOf(kind: Kind, root: CallNode, style: TableStyle): string {
  return kind === 'top' ? topTable(root, style) : mergeTable(root, style);
}

function folded(root: CallNode, isDiff: boolean): string {
  const lines: string[] = [];
  for (const { names, node } of stacksOf(root)) {
    // A frame may hold the separator; folded text has no way to escape it.
    const stack = names.map((name) => name.replaceAll(';', ':')).join(';');
    lines.push(isDiff ? `${stack} ${node.baseSelf} ${node.self}\n` : `${stack} ${node.self}\n`);
  }
  return lines.join('');
}

async function deliver(
  answer: string | Uint8Array,
  out: string | undefined,
  io: CliIo,
): Promise<void> {
  if (out === undefined) {
    io.out.write(answer);
    return;
  }
  try {
    await writeFile(out, answer);
  } catch (error) {
    throw new CliError(`--out: ${isErrorLike(error) ? error.message : String(error)}`);
  }
  note(io, `wrote ${out} (${answer.length} bytes)`);
}

function noData(selector: string, type: string): CliError {
  return new CliError(
    `no profiles match ${selector} of type ${type} in the range\n` +
      '  widen it with --from, or push one: tephra push FILE',
  );
}

/** A range in Unix ms. */
interface Range {
  readonly start: bigint;
  readonly end: bigint;
}

function timeRange(from: string, to: string, names: readonly [string, string], io: CliIo): Range {
  const time = (text: string, name: string): number => {
    try {
      return parseTime(text, io.clock.nowMs());
    } catch (error) {
      throw new CliError(`${name}: ${TephraError.from(error).detail}`, EXIT.usage);
    }
  };
  const start = time(from, names[0]);
  const end = time(to, names[1]);
  if (start > end) throw new CliError(`${names[0]} is after ${names[1]}`, EXIT.usage);
  return { start: BigInt(Math.floor(start)), end: BigInt(Math.floor(end)) };
}

function baseRange(range: Range, options: QueryOptions, io: CliIo): Range {
  // Ranges include both ends: the baseline ends a millisecond before the other begins.
  const from = options.baseFrom ?? isoTime(range.start - (range.end - range.start) - 1n);
  const to = options.baseTo ?? isoTime(range.start - 1n);
  return timeRange(from, to, ['--base-from', '--base-to'], io);
}

function isoTime(ms: bigint): string {
  return new Date(Number(ms)).toISOString();
}

function minOf(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

function selectorOf(options: QueryOptions): string {
  const given = options.selector?.trim() ?? '{}';
  if (options.service === undefined) return given;
  const match = /^\{(.*)\}$/s.exec(given);
  if (match === null) {
    throw new CliError('--selector: expected {...} when --service is given too', EXIT.usage);
  }
  const rest = match[1]?.trim() ?? '';
  const service = `service_name=${JSON.stringify(options.service)}`;
  return rest === '' ? `{${service}}` : `{${service},${rest}}`;
}
