import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import type { Command } from 'commander';
import { isErrorLike, TephraError } from '../base/errors.ts';
import { parseTime } from '../base/parse-time.ts';
import { MINUTE_MS } from '../base/time.ts';
import { calling, serverUrl } from './client.ts';
import { CliError, EXIT, note, type CliIo } from './io.ts';

interface PushOptions {
  readonly service?: string;
  readonly label: readonly string[];
  readonly at: string;
  readonly server?: string;
}

/** Progress is shown to people who have waited this long. */
const PROGRESS_AFTER_MS = 2_000;

/** Adds `tephra push`. */
export function addPush(program: Command, io: CliIo): void {
  program
    .command('push')
    .description(
      'send profiles: pprof (gzip or plain), or folded stacks (.txt, .folded, .collapsed)',
    )
    .argument('<FILE...>', 'profiles to send')
    .option(
      '--service <NAME>',
      'service they belong to (default: name of each file up to its first dot)',
    )
    .option('--label <K=V>', 'label of the series; may be repeated', collect, [])
    .option(
      '--at <TIME>',
      'when it was: now, file (the time in the profile), now-2h, 2026-08-01T12:00:00Z',
      'now',
    )
    .option(
      '--server <URL>',
      'server to send to (env TEPHRA_SERVER; default http://127.0.0.1:4040)',
    )
    .addHelpText('after', EXAMPLES)
    .action(async (files: string[], options: PushOptions) => {
      await push(files, options, io);
    });
}

const EXAMPLES = `
Folded stacks count as CPU samples at 100 Hz. Sending a file again with the same --at TIME or --at file
counts once.

Examples:
  $ tephra push cpu.pb.gz --service shop
  $ tephra push *.pb.gz --service shop --label region=eu --label version=1.4
  $ tephra push stacks.folded --service shop --at 2026-08-01T12:00:00Z`;

async function push(files: readonly string[], options: PushOptions, io: CliIo): Promise<void> {
  const server = serverUrl(options.server, io);
  const labels = options.label.map(checkLabel);
  const atMs = timeOf(options.at, io);
  const services = files.map((file) => checkService(options.service ?? serviceOfFile(file)));
  const progress = startProgress(files.length, io);
  const stored = new Set<string>();
  let count = 0;
  let bytes = 0;
  for (const [index, file] of files.entries()) {
    const service = services[index] as string;
    try {
      const body = await readProfile(file);
      await calling(server, () => send(server, { file, body, service, labels, atMs }));
      stored.add(service);
      count++;
      bytes += body.byteLength;
    } catch (error) {
      // The other files may still be good; a server that is not there is told once.
      if (!(error instanceof FileError)) throw error;
      progress.clear();
      note(io, `tephra: ${error.message}`);
    }
    progress.done(index + 1);
  }
  progress.clear();
  if (count > 0) {
    const names = stored.size > 5 ? `${stored.size} services` : [...stored].join(', ');
    note(
      io,
      `stored ${count} ${count === 1 ? 'profile' : 'profiles'} (${bytes} bytes) of ${names}`,
    );
    note(io, `query: tephra query top --service ${[...stored][0]}${rangeHint(options.at, atMs)}`);
  }
  if (count < files.length) {
    throw new CliError(`${files.length - count} of ${files.length} files were not stored`);
  }
}

/** One file could not be read or was refused. */
class FileError extends CliError {}

/** A line of progress for people who wait. */
function startProgress(total: number, io: CliIo): { done(count: number): void; clear(): void } {
  const startedMs = io.clock.monotonicMs();
  let shown = false;
  return {
    done(count) {
      if (io.err.isTTY !== true || io.clock.monotonicMs() - startedMs < PROGRESS_AFTER_MS) return;
      io.err.write(`\r${count} of ${total} files`);
      shown = true;
    },
    clear() {
      if (shown) io.err.write('\r\u001b[K');
      shown = false;
    },
  };
}

interface Upload {
  readonly file: string;
  readonly body: Uint8Array;
  readonly service: string;
  readonly labels: readonly string[];
  /** undefined = the time in the profile. */
  readonly atMs: number | undefined;
}

async function send(server: string, upload: Upload): Promise<void> {
  const folded = isFolded(upload.file);
  const query = new URLSearchParams({
    // The part after the last dot names the type of folded text.
    name: `${upload.service}${folded ? '.cpu' : ''}{${upload.labels.join(',')}}`,
    format: folded ? 'groups' : 'pprof',
    spyName: 'tephra-cli',
  });
  // 13 digits: milliseconds.
  if (upload.atMs !== undefined) query.set('from', String(upload.atMs).padStart(13, '0'));
  const response = await fetch(`${server}/ingest?${query.toString()}`, {
    method: 'POST',
    body: Buffer.from(upload.body),
  });
  const text = await response.text();
  if (response.status !== 200) throw new FileError(`${upload.file}: ${refusal(response, text)}`);
}

function refusal(response: Response, text: string): string {
  try {
    const { message } = JSON.parse(text) as { message?: unknown };
    if (typeof message === 'string') {
      const old = message.startsWith('not_in_ingestion_window');
      return `the server refused: ${message}${old ? '\n  send it with --at now or --at TIME' : ''}`;
    }
  } catch {
    // Not ours: told by its status.
  }
  return `the server answered ${response.status} ${response.statusText}: is it a Tephra?`;
}

async function readProfile(file: string): Promise<Uint8Array> {
  try {
    return await readFile(file);
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

function isFolded(file: string): boolean {
  return /\.(txt|folded|collapsed)$/i.test(file);
}

function serviceOfFile(file: string): string {
  const name = basename(file).split('.', 1)[0] ?? '';
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

function checkLabel(label: string): string {
  if (!/^[^={},\s]+=[^{},]*$/.test(label)) {
    throw new CliError(
      `--label: expected name=value without braces and commas, found ${JSON.stringify(label)}`,
      EXIT.usage,
    );
  }
  return label;
}

function collect(value: string, earlier: readonly string[]): string[] {
  return [...earlier, value];
}
