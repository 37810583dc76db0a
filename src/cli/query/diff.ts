import type { QuerierAnswer } from '../../client/index.ts';
import { connect, type Remote } from '../connection.ts';
import { CliError, EXIT, note, type CliIo } from '../io.ts';
import { deliver, formOf } from '../output.ts';
import { LIMITS } from '../../base/limits.ts';
import { diffProfile } from '../forms/diff-pprof.ts';
import { unitOf } from '../forms/units.ts';
import { treeOfDiff, type CallNode } from '../tree/call-tree.ts';
import { overlay } from '../tree/overlay.ts';
import { chooseType } from './choose-type.ts';
import { fileSide } from './file-side.ts';
import { textStyle, type DiffFlags } from './flags.ts';
import { exactnessOf, noData, shownType, tellLosses } from './merge.ts';
import { rangeBefore, selectorOf, timeRange, union, type Range } from './range.ts';
import { parseSide, type SideSpec } from './side-spec.ts';
import { querySide, type Side } from './side.ts';
import { writeDiff, writePprof } from './write.ts';

interface Sides {
  readonly left: Side;
  readonly right: Side;
}

/** `tephra query diff`. */
export async function runDiff(flags: DiffFlags, io: CliIo): Promise<void> {
  const form = formOf(flags);
  const sides = await openSides(flags, io);
  const { left, right } = sides;
  const [leftUnit, rightUnit] = [unitOf(left.type), unitOf(right.type)];
  if (leftUnit !== rightUnit) {
    throw new CliError(
      `the left side is in ${leftUnit}, the right one in ${rightUnit}: choose a --type that both have`,
      EXIT.usage,
    );
  }
  const servers = new Set([left.query?.remote.url, right.query?.remote.url]);
  const textOf = ({ text, query }: Side): string =>
    query !== undefined && servers.size > 1 ? `${text} at ${query.remote.url}` : text;
  const both = `${textOf(left)} and ${textOf(right)}`;
  if (form === 'pprof') {
    const answers = [await left.profile(), await right.profile()] as const;
    const profile = diffProfile(answers[0].value, answers[1].value);
    if (profile.sample.length === 0) throw noData(both, right.type);
    tellLosses(answers, io);
    await deliver(writePprof(profile), flags, io);
    return;
  }
  const { root, answers } = await treeOf(sides);
  if (root.total + root.baseTotal === 0n) throw noData(both, right.type);
  for (const [name, total] of [
    ['left', root.baseTotal],
    ['right', root.total],
  ] as const) {
    if (total === 0n) note(io, `the ${name} side has no profiles`);
  }
  tellLosses(answers, io);
  const text = writeDiff(form, root, {
    style: textStyle(flags, right.type, io),
    title: `${shownType(right.type)}: what changed`,
    layout: flags.layout,
    left: textOf(left),
    right: textOf(right),
    floor: flags.floor,
    by: flags.by,
    stacks: flags.stacks,
    told: {
      type: right.type,
      unit: rightUnit,
      sources: [left.source, right.source],
      ...exactnessOf(answers),
    },
  });
  await deliver(text, flags, io);
}

/** One server is asked for the difference, two answers are laid over each other here. */
async function treeOf({ left, right }: Sides): Promise<{
  root: CallNode;
  answers: readonly QuerierAnswer[];
}> {
  const [l, r] = [left.query, right.query];
  if (l !== undefined && r !== undefined && l.remote.url === r.remote.url) {
    const maxNodes = LIMITS.flameGraphNodesMax;
    const answer = await r.remote.ask(({ querier }) =>
      querier.diff(l.selection, r.selection, { maxNodes }),
    );
    return { root: treeOfDiff(answer.flameGraph), answers: [answer] };
  }
  const answers = [await left.tree(), await right.tree()] as const;
  return { root: overlay(answers[0].value, answers[1].value), answers };
}

async function openSides(flags: DiffFlags, io: CliIo): Promise<Sides> {
  const based = flags.baseFrom !== undefined || flags.baseTo !== undefined;
  if (based && flags.left !== undefined) {
    throw new CliError('--left and --base-from, --base-to say the same: leave one out', EXIT.usage);
  }
  const right = flags.right === undefined ? QUERY : parseSide(flags.right, '--right');
  const left = flags.left === undefined ? undefined : parseSide(flags.left, '--left');
  if (right.kind === 'file' || left?.kind === 'file') return withFiles(left, right, flags, io);

  const rightRange = rangeOf(right, '--right', flags, io);
  const leftRange = leftRangeOf(left, rightRange, flags, io);
  const rightPlace = placeOf(right, flags, io);
  // Without a left side only the time differs.
  const leftPlace = left === undefined ? rightPlace : placeOf(left, flags, io);
  const alike =
    leftPlace.remote.url === rightPlace.remote.url && leftPlace.selector === rightPlace.selector;
  const range = alike ? union(leftRange, rightRange) : rightRange;
  const type = await chooseType(rightPlace.remote, flags.type, rightPlace.selector, range, io);
  return {
    left: sideOf(leftPlace, type, leftRange),
    right: sideOf(rightPlace, type, rightRange),
  };
}

type QuerySpec = Extract<SideSpec, { kind: 'query' }>;
const QUERY: SideSpec = { kind: 'query' };

/** A file knows its types; the other side follows. */
async function withFiles(
  left: SideSpec | undefined,
  right: SideSpec,
  flags: DiffFlags,
  io: CliIo,
): Promise<Sides> {
  if (left === undefined || flags.right === undefined) {
    const missing = left === undefined ? '--left' : '--right';
    throw new CliError(`${missing} is missing: say what to compare the file with`, EXIT.usage);
  }
  const open = async (spec: SideSpec, flag: string, type: string | undefined): Promise<Side> => {
    if (spec.kind === 'file') return fileSide(spec.path, type, io);
    const place = placeOf(spec, flags, io);
    const range = rangeOf(spec, flag, flags, io);
    const chosen = await chooseType(place.remote, type, place.selector, range, io);
    return sideOf(place, chosen, range);
  };
  if (right.kind === 'file') {
    const opened = await open(right, '--right', flags.type);
    return { left: await open(left, '--left', flags.type ?? opened.type), right: opened };
  }
  const opened = await open(left, '--left', flags.type);
  return { left: opened, right: await open(right, '--right', flags.type ?? opened.type) };
}

/** A server, and which series of it. */
interface Place {
  readonly remote: Remote;
  readonly selector: string;
}

function sideOf({ remote, selector }: Place, profileType: string, range: Range): Side {
  return querySide(remote, { profileType, selector, ...range });
}

function placeOf(spec: QuerySpec, flags: DiffFlags, io: CliIo): Place {
  return {
    remote: connect(flags, io, spec.url),
    selector: selectorOf(spec.selector ?? flags.selector, flags.service),
  };
}

function rangeOf(spec: QuerySpec, flag: string, flags: DiffFlags, io: CliIo): Range {
  if (spec.from === undefined) return timeRange(flags.from, flags.to, ['--from', '--to'], io);
  return timeRange(spec.from, spec.to ?? 'now', [`${flag} FROM`, `${flag} TO`], io);
}

function leftRangeOf(
  left: QuerySpec | undefined,
  right: Range,
  flags: DiffFlags,
  io: CliIo,
): Range {
  if (left?.from !== undefined) return rangeOf(left, '--left', flags, io);
  // Another server or other labels: the same time.
  if (left !== undefined) return right;
  const before = rangeBefore(right);
  const from = flags.baseFrom ?? String(before.from).padStart(13, '0');
  const to = flags.baseTo ?? String(before.to).padStart(13, '0');
  return timeRange(from, to, ['--base-from', '--base-to'], io);
}
