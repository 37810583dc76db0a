import { open } from 'node:fs/promises';
import { Option, type Command } from 'commander';
import { isErrorLike } from '../base/errors.ts';
import { counted } from './counted.ts';
import { CliError, EXIT, note, type CliIo } from './io.ts';

/** Forms of an answer, and the ends of file names that ask for them. The table is for people. */
export const FORMS = {
  table: ['.txt'],
  json: ['.json'],
  folded: ['.folded', '.collapsed'],
  pprof: ['.pb.gz', '.pprof', '.pb'],
  speedscope: ['.speedscope.json'],
  dot: ['.dot', '.gv'],
  svg: ['.svg'],
} as const;

/** One of {@link FORMS}. */
export type Form = keyof typeof FORMS;

/** Flags of every command with an answer. */
export interface OutputFlags {
  readonly out?: string;
  readonly format?: Form;
  readonly json?: boolean;
}

/** Adds {@link OutputFlags} for the forms that a command has. */
export function addOutputFlags(command: Command, forms: readonly Form[]): Command {
  if (forms.length > 2) {
    command.addOption(
      new Option('--format <FORM>', 'default: by the end of FILE, else table').choices(forms),
    );
  }
  command.option('--json', forms.length > 2 ? 'the same as --format json' : 'answer as JSON');
  return command.option('-o, --out <FILE>', 'write there instead of to standard output');
}

/** The form that was asked for: by name, by the end of the file name, else a table. */
export function formOf(flags: OutputFlags): Form {
  if (flags.json === true) {
    if (flags.format !== undefined && flags.format !== 'json') {
      throw new CliError(`--json: --format ${flags.format} is another form`, EXIT.usage);
    }
    return 'json';
  }
  if (flags.format !== undefined) return flags.format;
  const name = (flags.out ?? '').toLowerCase();
  let found: Form = 'table';
  let length = 0;
  for (const [form, ends] of Object.entries(FORMS)) {
    for (const end of ends) {
      if (name.endsWith(end) && end.length > length) {
        found = form as Form;
        ({ length } = end);
      }
    }
  }
  return found;
}

/** Text in pieces, or bytes. */
export type Answer = Iterable<string> | Uint8Array;

const PIECE_CHARACTERS = 64 * 1024;

/** Writes an answer to the file or to standard output. Bytes are not written to a terminal. */
export async function deliver(answer: Answer, flags: OutputFlags, io: CliIo): Promise<void> {
  const { out } = flags;
  const isBytes = answer instanceof Uint8Array;
  if (out === undefined || out === '-') {
    if (isBytes && io.out.isTTY === true) {
      throw new CliError('pprof is binary: name a file with -o FILE, or use a pipe', EXIT.usage);
    }
    for (const piece of isBytes ? [answer] : pieces(answer)) io.out.write(piece);
    return;
  }
  let bytes = 0;
  try {
    const file = await open(out, 'w');
    try {
      for (const piece of isBytes ? [answer] : pieces(answer)) {
        const data = Buffer.from(piece as string);
        await file.writeFile(data);
        bytes += data.length;
      }
    } finally {
      await file.close();
    }
  } catch (error) {
    throw new CliError(`--out: ${isErrorLike(error) ? error.message : String(error)}`);
  }
  note(io, `wrote ${out} (${counted(bytes, 'byte')})`);
}

/** Few large pieces of many small ones. */
function* pieces(texts: Iterable<string>): Generator<string> {
  let piece = '';
  for (const text of texts) {
    piece += text;
    if (piece.length < PIECE_CHARACTERS) continue;
    yield piece;
    piece = '';
  }
  if (piece !== '') yield piece;
}
