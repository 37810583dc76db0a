import type { Command } from 'commander';

/** Where a server is when nobody says so. */
export const DEFAULT_SERVER = 'http://127.0.0.1:4040';

/** Flags of every command that talks to a server. */
export interface ServerFlags {
  readonly server?: string;
  readonly token?: string;
}

/** Adds {@link ServerFlags}. */
export function addServerFlags(command: Command): Command {
  return command
    .option(
      '--server <URL>',
      `server to talk to (env TEPHRA_URL; url in ~/.config/tephra/config.json; default ${DEFAULT_SERVER})`,
    )
    .option('--token <TOKEN>', 'sent as bearer token (env TEPHRA_TOKEN; token in the same file)');
}
