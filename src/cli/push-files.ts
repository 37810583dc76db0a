import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { isErrorLike, TephraError } from '../base/errors.ts';
import { parseTime } from '../base/parse-time.ts';
import { MINUTE_MS } from '../base/time.ts';
import type { FileProfile } from '../client/index.ts';
import { connect, RefusedError, type Remote } from './connection.ts';
import { counted } from './counted.ts';
import { isFoldedFile, isFoldedText } from './file-form.ts';
import { CliError, EXIT, note, type CliIo } from './io.ts';
import { jsonText } from './json.ts';
import { createProgress } from './progress.ts';
import type { PushFlags } from './push.ts';

/** One profile was refused, or could not be read; others may still be good. */
class FileError extends CliError {}

/** `tephra push`. One file that is refused leaves the others good. */
export async function push(files: readonly string[], flags: PushFlags, io: CliIo): Promise<void> {
  const remote = connect(flags, io);
  const labels = labelsOf(flags.label);
  const atMs = timeOf(flags.at, io);
  const services = files.map((file) => checkService(flags.service ?? serviceOfFile(file)));
  const progress = createProgress(io);
  const stored: { file: string; service: string; bytes: number }[] = [];
  const failed: { file: string; error: string }[] = [];
  for (const [index, file] of files.entries()) {
    const service = services[index] as string;
    try {
      const payload = await readProfile(file, io);
      const folded = file === '-' ? isFoldedText(payload) : isFoldedFile(file);
      const format = folded ? 'folded' : 'pprof';
      const sender = 'tephra-cli';
      await send(remote, file, { service, labels, format, start: atMs, sender, payload });
      // Where a label names the service, it is that of the series.
      const stands = labels['service_name'] ?? service;
      stored.push({ file, service: stands, bytes: payload.byteLength });
    } catch (error) {
      // The other files may still be good; a server that is not there is told once.
      if (!(error instanceof FileError)) throw error;
      failed.push({ file, error: error.message });
      progress.clear();
      note(io, `tephra: ${error.message}`);
    }
    progress.say(`${index + 1} of ${counted(files.length, 'file')}`);
  }
  progress.clear();
  if (flags.json === true) {
    for (const piece of jsonText({ kind: 'push', stored, failed })) io.out.write(piece);
  } else if (stored.length > 0) {
    const names = [...new Set(stored.map(({ service }) => service))];
    const bytes = stored.reduce((sum, file) => sum + file.bytes, 0);
    const shown = names.length > 5 ? `${names.length} services` : names.join(', ');
    note(io, `stored ${counted(stored.length, 'profile')} (${counted(bytes, 'byte')}) of ${shown}`);
    note(io, `query: tephra query top --service ${names[0]}${rangeHint(flags.at, atMs)}`);
  }
  if (failed.length > 0) {
    throw new CliError(`${failed.length} of ${files.length} files were not stored`);
  }
}

async function send(remote: Remote, file: string, profile: FileProfile): Promise<void> {
  try {
    await remote.ask((client) => client.ingest(profile), `sending ${file} to`);
  } catch (error) {
    if (!(error instanceof RefusedError)) throw error;
    const old = error.reason === 'not_in_ingestion_window';
    const hint = old ? '\n  send it with --at now or --at TIME' : '';
    throw new FileError(`${file}: ${error.message}${hint}`);
  }
}

async function readProfile(file: string, io: CliIo): Promise<Uint8Array> {
  try {
    return file === '-' ? await io.input() : await readFile(file);
  } catch (error) {
    throw new FileError(isErrorLike(error) ? error.message : `${file}: ${String(error)}`);
  }
}

function timeOf(at: string, io: CliIo): number | undefined {
  if (at === 'file') return undefined;
  try {
    return parseTime(at, io.clock.nowMs());
  } catch (error) {
    throw new CliError(`--at: ${TephraError.from(error).detail}, or file`, EXIT.usage);
  }
}

function rangeHint(at: string, atMs: number | undefined): string {
  if (at === 'now') return '';
  if (atMs === undefined) return ' --from now-31d';
  return ` --from ${new Date(atMs - MINUTE_MS).toISOString()} --to ${new Date(atMs + MINUTE_MS).toISOString()}`;
}

function serviceOfFile(file: string): string {
  const name = file === '-' ? '' : (basename(file).split('.', 1)[0] ?? '');
  const clean = name.replaceAll(/[^a-zA-Z0-9_/-]/g, '-');
  return clean === '' ? 'unknown' : clean;
}

function checkService(service: string): string {
  if (!/^[a-zA-Z0-9_.\-/]+$/.test(service)) {
    throw new CliError(
      `--service: expected letters, digits, _ . - and /, found ${JSON.stringify(service)}`,
      EXIT.usage,
    );
  }
  return service;
}

function labelsOf(given: readonly string[]): Record<string, string> {
  const labels = new Map<string, string>();
  for (const [name, value] of given.map(checkLabel)) {
    if (labels.has(name)) throw new CliError(`--label: ${name} is given twice`, EXIT.usage);
    labels.set(name, value);
  }
  return Object.fromEntries(labels);
}

function checkLabel(label: string): [name: string, value: string] {
  if (!/^[^={},\s]+=[^{},]*$/.test(label)) {
    throw new CliError(
      `--label: expected name=value without braces and commas, found ${JSON.stringify(label)}`,
      EXIT.usage,
    );
  }
  const equals = label.indexOf('=');
  return [label.slice(0, equals), label.slice(equals + 1)];
}
