import { readFileSync } from 'node:fs';
import { Option, type Command } from 'commander';
import { isErrorLike, TephraError } from '../base/errors.ts';
import { explainConfig, type ConfigSources, type ExplainedConfig } from '../config/load.ts';
import { CONFIG_KEYS, flagName, settingMeta, variableName } from '../config/schema.ts';
import { CliError, EXIT, type CliIo } from './io.ts';

/** Adds `--config` and a flag for every key of the server's configuration. */
export function addConfigFlags(command: Command): Command {
  command.option('--config <FILE>', 'JSON file with any of the keys below (env TEPHRA_CONFIG)');
  for (const key of CONFIG_KEYS) {
    const { value, description, shownDefault } = settingMeta(key);
    const flag = value === '' ? flagName(key) : `${flagName(key)} <${value}>`;
    const help = `${description} (env ${variableName(key)}; default ${shownDefault})`;
    // With its opposite beside it, a flag that negates has no value of its own and hides nothing.
    const opposite = flag.replace(/^--no-/, '--');
    if (opposite !== flag) command.addOption(new Option(opposite).hideHelp());
    command.addOption(new Option(flag, help));
  }
  return command;
}

/** The configuration that flags, environment and file give. Throws `CliError`s. */
export function configOf(options: Readonly<Record<string, unknown>>, io: CliIo): ExplainedConfig {
  const { config: fromFlag, ...flags } = options;
  const path = typeof fromFlag === 'string' ? fromFlag : io.environment['TEPHRA_CONFIG'];
  const file = path === undefined ? undefined : readConfigFile(path);
  try {
    return explainConfig({ flags, environment: io.environment, file });
  } catch (error) {
    throw startError(error);
  }
}

function readConfigFile(path: string): ConfigSources['file'] {
  try {
    return { path, text: readFileSync(path, 'utf8') };
  } catch (error) {
    const text = isErrorLike(error) ? error.message : String(error);
    throw new CliError(`--config: ${text}`, EXIT.usage);
  }
}

/** What keeps a server from starting: wrong configuration is a usage error. */
export function startError(error: unknown): CliError {
  const { reason, message } = TephraError.from(error);
  const usage = reason === 'invalid_configuration' || reason === 'insecure_listen';
  return new CliError(message, usage ? EXIT.usage : EXIT.failed);
}
