import { connect } from '../connection.ts';
import { note, type CliIo } from '../io.ts';
import { jsonText } from '../json.ts';
import { deliver, formOf, type OutputFlags } from '../output.ts';
import { printable } from '../printable.ts';
import type { SelectFlags } from './flags.ts';
import { selectorOf, timeRange } from './range.ts';

/** Flags of `tephra query labels`. */
export type LabelsFlags = SelectFlags & OutputFlags;

/** `tephra query labels`: names where `name` is undefined, else its values. */
export async function runLabels(
  name: string | undefined,
  flags: LabelsFlags,
  io: CliIo,
): Promise<void> {
  const form = formOf(flags);
  const remote = connect(flags, io);
  const range = timeRange(flags.from, flags.to, ['--from', '--to'], io);
  const selector = selectorOf(flags.selector, flags.service);
  const asked = { selectors: [selector], ...range };
  const { names: values } = await remote.ask(({ querier }) =>
    name === undefined ? querier.labelNames(asked) : querier.labelValues(name, asked),
  );
  if (form === 'json') {
    await deliver(jsonText({ kind: 'labels', name: name ?? null, values }), flags, io);
    return;
  }
  if (values.length === 0) note(io, 'none in that range: widen it with --from');
  await deliver(
    values.map((value) => `${printable(value)}\n`),
    flags,
    io,
  );
}
