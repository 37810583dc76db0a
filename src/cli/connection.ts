import {
  connect as openClient,
  TephraClientError,
  type ConnectOptions,
  type TephraClient,
} from '../client/index.ts';
import { readClientConfig } from './client-config.ts';
import { CliError, EXIT, type CliIo } from './io.ts';
import { whileWaiting } from './progress.ts';
import { DEFAULT_SERVER, type ServerFlags } from './server-flags.ts';
import { tlsTrouble } from './tls-trouble.ts';

/** A server that is asked. */
export interface Remote {
  readonly url: string;
  /**
   * Asks it, while people are told what they wait for: `what` is `asking` or another beginning of that
   * line. Throws `CliError`s that say what to do next, {@link RefusedError} where the server answered.
   */
  ask<T>(call: (client: TephraClient) => Promise<T>, what?: string): Promise<T>;
}

/** The server answered, and did not do it. */
export class RefusedError extends CliError {
  /** One of docs/errors.md, else ''. */
  readonly reason: string;

  constructor(message: string, reason: string) {
    super(message);
    this.reason = reason;
  }
}

/** The server of {@link serverOf}, to be asked. Nothing is sent before the first question. */
export function connect(flags: ServerFlags, io: CliIo, url?: string): Remote {
  const server = serverOf(flags, io, url);
  // People end what takes too long.
  const client = openClient({ ...server, timeoutMs: 0 });
  return {
    url: server.url,
    async ask(call, what = 'asking') {
      try {
        return await whileWaiting(io, `${what} ${server.url}`, call(client));
      } catch (error) {
        throw explained(server.url, error);
      }
    },
  };
}

/**
 * The server that flags, environment and file name, in this order; `url` is one that stands in the
 * question itself and wins. The token of the file goes to the server of the file only.
 */
export function serverOf(
  flags: ServerFlags,
  io: CliIo,
  url?: string,
): Pick<ConnectOptions, 'url' | 'token'> {
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

/** A failure as a message that says what to do next. */
function explained(server: string, error: unknown): unknown {
  if (!(error instanceof TephraClientError)) return error;
  const trouble = tlsTrouble(server, error);
  if (trouble !== undefined) return new CliError(trouble);
  const { code, reason, message } = error;
  if (reason === 'unreachable') {
    return new CliError(
      `no server answers at ${server}\n` +
        '  start one with `tephra serve` (in a clone: `npm start`), or name another with --server URL',
    );
  }
  if (code === 'unauthenticated') {
    return new CliError(
      `the server wants a token: give it with --token, TEPHRA_TOKEN or the configuration file: ${server}`,
    );
  }
  // What is no server of ours has no code either.
  return new RefusedError(code === 'unknown' ? message : `the server refused: ${message}`, reason);
}
