import { createClient, ConnectError, type Client, type Transport } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-node';
import { isErrorLike } from '../base/errors.ts';
import { QuerierService } from '../gen/querier/v1/querier_pb.ts';
import { CliError, EXIT, type CliIo } from './io.ts';

/** Where a server is when nobody says so. */
export const DEFAULT_SERVER = 'http://127.0.0.1:4040';

/** The server to talk to: `--server`, else TEPHRA_SERVER, else the default. Without a slash at the end. */
export function serverUrl(option: string | undefined, io: CliIo): string {
  const text = option ?? io.environment['TEPHRA_SERVER'] ?? DEFAULT_SERVER;
  const url = /^https?:\/\//.test(text) && URL.canParse(text) ? text : undefined;
  if (url === undefined) {
    throw new CliError(
      `--server: expected http://HOST:PORT, found ${JSON.stringify(text)}`,
      EXIT.usage,
    );
  }
  return url.replace(/\/+$/, '');
}

/** A client of the query service. */
export function querier(server: string): Client<typeof QuerierService> {
  const transport: Transport = createConnectTransport({ baseUrl: server, httpVersion: '1.1' });
  return createClient(QuerierService, transport);
}

/** Runs a call; failures become messages that say what to do next. */
export async function calling<T>(server: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw explain(server, error);
  }
}

function explain(server: string, error: unknown): CliError {
  if (error instanceof CliError) return error;
  if (isUnreachable(error)) {
    return new CliError(
      `no server answers at ${server}\n` +
        '  start one with `tephra serve` (in a clone: `npm start`), or name another with --server URL',
    );
  }
  if (error instanceof ConnectError) return new CliError(`the server refused: ${error.rawMessage}`);
  return new CliError(isErrorLike(error) ? error.message : String(error));
}

const UNREACHABLE = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EHOSTUNREACH',
  'ETIMEDOUT',
  'EAI_AGAIN',
]);

/** Looks through the causes: fetch and Connect wrap the system's error in their own. */
function isUnreachable(error: unknown): boolean {
  let at: unknown = error;
  for (let depth = 0; depth < 5 && isErrorLike(at); depth++) {
    if (typeof at.code === 'string' && UNREACHABLE.has(at.code)) return true;
    at = 'cause' in at ? at.cause : undefined;
  }
  return false;
}
