import { isErrorLike, TephraError } from '../base/errors.ts';
import {
  CONFIG_KEYS,
  configSchema,
  flagName,
  variableName,
  type Config,
  type ConfigKey,
} from './schema.ts';
import { formatAddress } from './values.ts';

/** Where values may come from; later ones lose: flags, variables, file, defaults. */
export interface ConfigSources {
  /** Values of flags by key; absent keys were not given. */
  readonly flags: Readonly<Partial<Record<ConfigKey, unknown>>>;
  /** The environment. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The file of `--config`, if one was given. */
  readonly file?: { readonly path: string; readonly text: string } | undefined;
}

/** Bytes of a configuration file. */
export const CONFIG_FILE_BYTES_MAX = 1024 * 1024;

/** Variables that begin with `TEPHRA_` and are not keys, but are known: the client and the tests. */
const OTHER_VARIABLES = new Set(['TEPHRA_CONFIG', 'TEPHRA_URL', 'TEPHRA_TOKEN', 'TEPHRA_CORPUS']);

/**
 * Joins the sources and validates the result. Throws `invalid_configuration` that names the source
 * and the key of every wrong value, and `insecure_listen` for an address beyond loopback without
 * `insecureNoAuth`.
 */
export function loadConfig(sources: ConfigSources): Config {
  return explainConfig(sources).config;
}

/** A configuration, and how it came to be. */
export interface ExplainedConfig {
  readonly config: Config;
  /** Of keys that are not defaults: what was written, and where: `--listen`, `TEPHRA_LISTEN`. */
  readonly given: ReadonlyMap<ConfigKey, { readonly text: string; readonly from: string }>;
}

/** As {@link loadConfig}, for people who ask why a value is what it is. */
export function explainConfig(sources: ConfigSources): ExplainedConfig {
  const fromFile = parseFile(sources.file);
  const raw: Partial<Record<ConfigKey, unknown>> = {};
  const origin = new Map<string, string>();
  const take = (key: ConfigKey, value: unknown, from: string): void => {
    if (value === undefined || origin.has(key)) return;
    raw[key] = value;
    origin.set(key, from);
  };
  for (const key of CONFIG_KEYS) {
    take(key, sources.flags[key], flagName(key));
    take(key, sources.environment[variableName(key)], variableName(key));
    take(key, fromFile.get(key), `${sources.file?.path}: ${key}`);
  }
  const result = configSchema.safeParse(raw);
  if (!result.success) {
    const wrong = result.error.issues.map((issue) => {
      const key = String(issue.path[0]);
      return `${origin.get(key) ?? key}: ${issue.message}, found ${show(raw[key as ConfigKey])}`;
    });
    throw new TephraError('invalid_configuration', wrong.join('; '));
  }
  if ((result.data.tlsCert === undefined) !== (result.data.tlsKey === undefined)) {
    throw new TephraError('invalid_configuration', '--tls-cert and --tls-key belong together');
  }
  refuseInsecureListen(result.data);
  const given = new Map(
    CONFIG_KEYS.flatMap((key) => {
      const from = origin.get(key);
      return from === undefined ? [] : [[key, { text: String(raw[key]), from }] as const];
    }),
  );
  return { config: result.data, given };
}

/** Names of variables that look like ours and mean nothing, sorted; most likely typing errors. */
export function unknownVariables(
  environment: Readonly<Record<string, string | undefined>>,
): string[] {
  const known = new Set(CONFIG_KEYS.map(variableName));
  return Object.keys(environment)
    .filter((name) => name.startsWith('TEPHRA_') && !known.has(name) && !OTHER_VARIABLES.has(name))
    .toSorted();
}

/** Whether `host` can only be reached from this machine. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

function refuseInsecureListen(config: Config): void {
  if (config.insecureNoAuth || isLoopback(config.listen.host)) return;
  throw new TephraError(
    'insecure_listen',
    `${formatAddress(config.listen)} can be reached from other machines and there are no ` +
      'credentials yet: listen on 127.0.0.1, or say --insecure-no-auth if the network is trusted',
  );
}

function parseFile(file: ConfigSources['file']): Map<string, unknown> {
  if (file === undefined) return new Map();
  const refuse = (what: string): TephraError =>
    new TephraError('invalid_configuration', `${file.path}: ${what}`);
  if (Buffer.byteLength(file.text) > CONFIG_FILE_BYTES_MAX) {
    throw refuse(`larger than ${CONFIG_FILE_BYTES_MAX} bytes`);
  }
  let value: unknown;
  try {
    value = JSON.parse(file.text);
  } catch (error) {
    throw refuse(`not JSON: ${isErrorLike(error) ? error.message : 'unreadable'}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw refuse(`expected an object, found ${show(value)}`);
  }
  const entries = Object.entries(value);
  const known = new Set<string>(CONFIG_KEYS);
  const unknown = entries.filter(([key]) => !known.has(key)).map(([key]) => key);
  if (unknown.length > 0) {
    throw refuse(
      `unknown key ${unknown.map(show).join(', ')}; known are ${CONFIG_KEYS.join(', ')}`,
    );
  }
  return new Map(entries);
}

function show(value: unknown): string {
  return (JSON.stringify(value) ?? 'nothing').slice(0, 80);
}
