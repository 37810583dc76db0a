import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { isErrno, isErrorLike } from '../base/errors.ts';
import { CliError, EXIT, type CliIo } from './io.ts';

/** The file that says where the server of this person is; docs/cli.md describes it. */
const schema = z.strictObject({
  /** Server to talk to. */
  url: z.string().optional(),
  /** Sent to that server. */
  token: z.string().min(1).optional(),
});

/** A valid file. */
export type ClientConfig = z.output<typeof schema>;

/** `$XDG_CONFIG_HOME/tephra/config.json`, else `~/.config/tephra/config.json`; undefined without a home. */
function clientConfigPath(io: CliIo): string | undefined {
  const { XDG_CONFIG_HOME: xdg, HOME: home } = io.environment;
  if (xdg !== undefined && xdg.startsWith('/')) return join(xdg, 'tephra', 'config.json');
  return home === undefined || home === ''
    ? undefined
    : join(home, '.config', 'tephra', 'config.json');
}

/** What the file says; nothing where there is none. Throws a usage error that names file and key. */
export function readClientConfig(io: CliIo): ClientConfig {
  const path = clientConfigPath(io);
  if (path === undefined) return {};
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    if (isErrno(error, 'ENOENT') || isErrno(error, 'ENOTDIR')) return {};
    throw new CliError(
      `${path}: ${isErrorLike(error) ? error.message : String(error)}`,
      EXIT.usage,
    );
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const wrong = result.error.issues.map(({ path: at, message }) =>
    at.length === 0 ? message : `${at.join('.')}: ${message}`,
  );
  throw new CliError(`${path}: ${wrong.join('; ')}; known are url and token`, EXIT.usage);
}
