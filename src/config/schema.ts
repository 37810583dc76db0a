import { z } from 'zod';
import { LIMITS } from '../base/limits.ts';
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from '../base/time.ts';
import {
  attributeNames,
  byteSize,
  choice,
  count,
  duration,
  formatBytes,
  formatDuration,
  listenAddress,
  origins,
  path,
  timeLimit,
  truth,
  urlPrefix,
  wholeNumber,
} from './values.ts';

/**
 * The one schema of everything an operator can set. A key is written once here: its kind, default
 * and description make the flag, the variable, the key in the file, `tephra serve --help` and
 * docs/configuration.md.
 */

/** Log levels, quiet to loud. */
export const LOG_LEVELS = ['silent', 'error', 'warn', 'info', 'debug'] as const;

const MIB = 1024 * 1024;

/** How a key is shown to people. */
export interface SettingMeta {
  /** What the value looks like in help; '' for a switch. */
  readonly value: string;
  /** The default as people read it. */
  readonly shownDefault: string;
  /** One or two sentences, no full stop at the end. */
  readonly description: string;
}

/** Keys in the order of the documentation. All times are milliseconds, all sizes bytes. */
export const configSchema = z.strictObject({
  listen: setting(listenAddress(), '127.0.0.1:4040', {
    value: 'HOST:PORT',
    description:
      'Address of the one port that serves every protocol; port 0 lets the system choose',
  }),
  dataDir: setting(path(), './data', {
    value: 'DIR',
    description: 'Where everything is stored; made at the first start',
  }),
  tlsCert: setting(path().optional(), undefined, {
    value: 'FILE',
    shownDefault: 'none, plain text',
    description:
      'Certificate chain in PEM; with `tlsKey` the port speaks TLS only. Read again on SIGHUP',
  }),
  tlsKey: setting(path().optional(), undefined, {
    value: 'FILE',
    shownDefault: 'none, plain text',
    description: 'Private key of `tlsCert` in PEM',
  }),
  pathPrefix: setting(urlPrefix(), '/', {
    value: 'PATH',
    description:
      'Path under which everything is served, for a proxy that does not strip it: `/tephra`. gRPC over HTTP/2 has no prefix, its clients cannot send one',
  }),
  corsOrigins: setting(origins(), 'none', {
    value: 'ORIGINS',
    description:
      'Origins whose pages may call the server from a browser, separated by commas: `https://grafana.example`; `*` is any, `none` is none',
  }),
  otlpDropAttributes: setting(attributeNames(), 'process.pid', {
    value: 'NAMES',
    description:
      'Attributes of OTLP resources and scopes that become no labels, separated by commas, `none` keeps all. A label with a value of its own for each process makes as many series as there are processes',
  }),
  workers: setting(wholeNumber(0, 256).optional(), undefined, {
    value: 'COUNT',
    shownDefault: 'cores - 1, at least 1',
    description:
      'Worker threads that decode, absorb and merge; 0 runs the same code on the main thread',
  }),
  insecureNoAuth: setting(truth(), 'false', {
    value: '',
    description:
      'Allow listening beyond loopback although there are no credentials: everyone who reaches the port reads and writes everything',
  }),
  logLevel: setting(choice(LOG_LEVELS), 'info', {
    value: 'LEVEL',
    description: `How much is logged: ${LOG_LEVELS.join(', ')}`,
  }),
  selfProfile: setting(truth(), 'true', {
    value: '',
    description:
      'Profile the server into itself, as service `tephra`: CPU and memory of all its threads. Needs the optional package `@datadog/pprof`',
  }),
  retentionRaw: setting(duration(HOUR_MS), formatDuration(LIMITS.rawRetentionMs), {
    value: 'DURATION',
    description:
      'How long profiles are kept as they arrived, from arrival: exact to the millisecond, and the time in which a repeated push counts once',
  }),
  retentionMinutes: setting(duration(DAY_MS), formatDuration(LIMITS.minutesRetentionMs), {
    value: 'DURATION',
    description:
      'How long profiles are kept by the minute, and so how old one may be when it arrives',
  }),
  allowedFuture: setting(duration(0), formatDuration(LIMITS.futureMs), {
    value: 'DURATION',
    description: 'How far in the future a profile may lie; farther ones are refused',
  }),
  maxBody: setting(byteSize(1024, 512 * MIB), formatBytes(LIMITS.bodyBytesMax), {
    value: 'SIZE',
    description: 'Largest request body or gRPC message',
  }),
  maxInFlight: setting(byteSize(MIB, 16 * 1024 * MIB), formatBytes(LIMITS.inFlightBytes), {
    value: 'SIZE',
    description:
      'Bytes of requests that are held at once; further requests wait two seconds and are then refused',
  }),
  maxConnections: setting(count(), String(LIMITS.connectionsMax), {
    value: 'COUNT',
    description: 'Sockets that are open at once; more are closed at once',
  }),
  maxConnectionsPerAddress: setting(count(), String(LIMITS.connectionsPerAddressMax), {
    value: 'COUNT',
    description:
      'Open sockets of one address. A proxy in front of many clients is one address: raise it there',
  }),
  maxConnectionRate: setting(count(), String(LIMITS.connectionRateMax), {
    value: 'COUNT',
    description: 'New sockets of one address in a second, with twice as many at the first',
  }),
  maxHeader: setting(byteSize(1024, MIB), formatBytes(LIMITS.headerBytesMax), {
    value: 'SIZE',
    description: 'Largest headers of a request, names and values together',
  }),
  maxStreams: setting(count(), String(LIMITS.streamsMax), {
    value: 'COUNT',
    description:
      'HTTP/2 streams that are open at once, streams of samples among them; more are refused, retryably. An idle one costs about 18 KB',
  }),
  maxStreamsPerAddress: setting(count(), String(LIMITS.streamsPerAddressMax), {
    value: 'COUNT',
    description: 'Of these, those of one address. A proxy in front of many agents is one address',
  }),
  maxStreamsPerConnection: setting(wholeNumber(1, 65_536), String(LIMITS.streamsPerConnectionMax), {
    value: 'COUNT',
    description: 'Of these, those of one connection, as HTTP/2 tells each client',
  }),
  maxQueriesPerAddress: setting(count(), String(LIMITS.queriesPerAddressMax), {
    value: 'COUNT',
    description:
      'Queries of one address that run, wait for their turn or are not read yet; more are refused, retryably. Grafana, or a proxy in front of many users, is one address',
  }),
  prefaceTimeout: setting(timeLimit(100, 10 * MINUTE_MS), formatDuration(LIMITS.prefaceTimeoutMs), {
    value: 'DURATION',
    description: 'How long a connection may take to show its protocol by its first bytes',
  }),
  headersTimeout: setting(timeLimit(100, 10 * MINUTE_MS), formatDuration(LIMITS.headersTimeoutMs), {
    value: 'DURATION',
    description: 'How long an HTTP/1.1 request may take to send its headers',
  }),
  requestTimeout: setting(timeLimit(100, HOUR_MS), formatDuration(LIMITS.requestTimeoutMs), {
    value: 'DURATION',
    description: 'How long a request may take to arrive whole',
  }),
  queryTimeout: setting(timeLimit(100, HOUR_MS), formatDuration(LIMITS.queryTimeoutMs), {
    value: 'DURATION',
    description:
      'How long a query may wait and run; a deadline that its client sets ends it earlier',
  }),
  idleTimeout: setting(timeLimit(SECOND_MS, DAY_MS), formatDuration(LIMITS.socketIdleTimeoutMs), {
    value: 'DURATION',
    description:
      'How long nothing may move over an HTTP/1.1 connection with a request; keep it above `queryTimeout`',
  }),
  keepAliveTimeout: setting(
    timeLimit(SECOND_MS, DAY_MS),
    formatDuration(LIMITS.keepAliveTimeoutMs),
    {
      value: 'DURATION',
      description:
        'How long an HTTP/1.1 connection is kept without a request; keep it above what a load balancer in front keeps its own',
    },
  ),
  pageCache: setting(byteSize(0, 64 * 1024 * MIB), formatBytes(LIMITS.pageCacheBytes), {
    value: 'SIZE',
    description:
      'Memory for stored blocks that were read and checked, shared out among the workers; 0 reads from the store each time',
  }),
  scrubRate: setting(byteSize(0, 1024 * MIB), formatBytes(LIMITS.scrubBytesPerSecond), {
    value: 'SIZE',
    description:
      'Stored bytes that are read again each second to find damage early; 0 turns it off',
  }),
  ballast: setting(byteSize(0, 1024 * MIB), formatBytes(LIMITS.ballastBytes), {
    value: 'SIZE',
    description:
      'Size of a file that is given up on a full disk, so that the server can end and start there; 0 for none',
  }),
  drainTimeout: setting(duration(0), formatDuration(20 * SECOND_MS), {
    value: 'DURATION',
    description: 'How long a stopping server waits for open requests',
  }),
});

/** A valid configuration. `workers` is undefined where the machine decides. */
export type Config = z.output<typeof configSchema>;

/** A key of the schema. */
export type ConfigKey = keyof Config;

/** Keys in the order of the documentation. */
export const CONFIG_KEYS = Object.keys(configSchema.shape) as ConfigKey[];

/** The description of a key. */
export function settingMeta(key: ConfigKey): SettingMeta {
  return configSchema.shape[key].meta() as unknown as SettingMeta;
}

/** `--data-dir` for `dataDir`; `--no-self-profile` for a switch that is on by default. */
export function flagName(key: ConfigKey): string {
  const { value, shownDefault } = settingMeta(key);
  const dashes = value === '' && shownDefault === 'true' ? '--no-' : '--';
  return `${dashes}${key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** `TEPHRA_DATA_DIR` for `dataDir`. */
export function variableName(key: ConfigKey): string {
  return `TEPHRA_${key.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

function setting<T>(
  kind: z.ZodType<T, unknown>,
  fallback: string | undefined,
  meta: Omit<SettingMeta, 'shownDefault'> & { readonly shownDefault?: string },
): z.ZodType<T, unknown> {
  return z
    .preprocess((raw) => (raw === undefined ? fallback : raw), kind)
    .meta({ shownDefault: fallback ?? '', ...meta });
}
