import { readClientConfig } from './client-config.ts';
import { openRemote, type Remote } from './client.ts';
import { CliError, EXIT, type CliIo } from './io.ts';
import { whileWaiting } from './progress.ts';
import { DEFAULT_SERVER, type ServerFlags } from './server-flags.ts';

/** A server and what opens it. */
export interface Server {
  readonly url: string;
  readonly token: string | undefined;
}

/** The server of {@link serverOf}, to be asked. */
export function connect(flags: ServerFlags, io: CliIo, url?: string): Remote {
  const server = serverOf(flags, io, url);
  return openRemote(server.url, server.token, (what, work) =>
    whileWaiting(io, `${what} ${server.url}`, work),
  );
}

/**
 * The server that flags, environment and file name, in this order; `url` is one that stands in the
 * question itself and wins. The token of the file goes to the server of the file only.
 */
export function serverOf(flags: ServerFlags, io: CliIo, url?: string): Server {
  const file = readClientConfig(io);
  const named = [
    [url, 'server'],
    [flags.server, '--server'],
    [io.environment['TEPHRA_URL'], 'TEPHRA_URL'],
    [file.url, 'url of the configuration file'],
    [DEFAULT_SERVER, 'default'],
  ] as const;
  const [text = DEFAULT_SERVER, from] =
    named.find(([value]) => value !== undefined && value !== '') ?? [];
  const server = checkUrl(text, from ?? 'server');
  const home = checkUrl(file.url ?? DEFAULT_SERVER, 'url of the configuration file');
  const token =
    flags.token ??
    presence(io.environment['TEPHRA_TOKEN']) ??
    (server === home ? file.token : undefined);
  return { url: server, token };
}

function checkUrl(text: string, from: string): string {
  if (/^https?:\/\//.test(text) && URL.canParse(text)) return text.replace(/\/+$/, '');
  throw new CliError(
    `${from}: expected http://HOST:PORT, found ${JSON.stringify(text)}`,
    EXIT.usage,
  );
}

function presence(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}
