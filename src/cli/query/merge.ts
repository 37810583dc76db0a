import type { QuerierAnswer } from '../../client/index.ts';
import { connect } from '../connection.ts';
import { CliError, note, type CliIo } from '../io.ts';
import { deliver, formOf } from '../output.ts';
import { unitOf } from '../forms/units.ts';
import { chooseType } from './choose-type.ts';
import { fileSide } from './file-side.ts';
import { textStyle, type MergeFlags } from './flags.ts';
import { selectorOf, timeRange } from './range.ts';
import { querySide, type Side } from './side.ts';
import { writeMerge, writePprof } from './write.ts';

/** `tephra query merge` and `top`. */
export async function runMerge(
  kind: 'merge' | 'top',
  file: string | undefined,
  flags: MergeFlags,
  io: CliIo,
): Promise<void> {
  const form = formOf(flags);
  const side = file === undefined ? await asked(flags, io) : await fileSide(file, flags.type, io);
  if (form === 'pprof') {
    const answer = await side.profile();
    if (answer.value.sample.length === 0) throw noData(side.text, side.type);
    tellLosses([answer], io);
    await deliver(writePprof(answer.value), flags, io);
    return;
  }
  const answer = await side.tree();
  if (answer.value.total === 0n) throw noData(side.text, side.type);
  tellLosses([answer], io);
  const text = writeMerge(kind, form, answer.value, {
    style: textStyle(flags, side.type, io),
    title: `${shownType(side.type)} ${side.text}`,
    layout: flags.layout,
    told: {
      type: side.type,
      unit: unitOf(side.type),
      sources: [side.source],
      ...exactnessOf([answer]),
    },
  });
  await deliver(text, flags, io);
}

async function asked(flags: MergeFlags, io: CliIo): Promise<Side> {
  const remote = connect(flags, io);
  const range = timeRange(flags.from, flags.to, ['--from', '--to'], io);
  const selector = selectorOf(flags.selector, flags.service);
  const type = await chooseType(remote, flags.type, selector, range, io);
  return querySide(remote, { profileType: type, selector, ...range });
}

/** The parts of a type that people care for. */
export function shownType(type: string): string {
  return type.split(':').slice(0, 3).filter(Boolean).join(':');
}

/** Says on `err` what answers say of themselves. */
export function tellLosses(answers: readonly QuerierAnswer[], io: CliIo): void {
  for (const { exact, notes } of answers) {
    if (exact === false) note(io, `the answer is not exact: ${notes ?? ''}`);
  }
}

/** The exactness of several answers together, for JSON. */
export function exactnessOf(answers: readonly QuerierAnswer[]): {
  exact: boolean | null;
  notes?: string;
} {
  const notes = answers.flatMap((answer) => answer.notes ?? []);
  const known = answers.every(({ exact }) => exact !== undefined);
  const exact = answers.some((answer) => answer.exact === false) ? false : known ? true : null;
  return { exact, ...(notes.length === 0 ? {} : { notes: notes.join(' ') }) };
}

/** Nothing was there. */
export function noData(where: string, type: string): CliError {
  return new CliError(
    `no profiles of type ${shownType(type)} in ${where}\n` +
      '  widen the range with --from, or push one: tephra push FILE',
  );
}
