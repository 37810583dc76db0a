/**
 * The one file that knows the wire. What is above it asks {@link Remote} and sees no service, no
 * header and no status.
 */
import { Code, ConnectError, createClient, type CallOptions } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-node';
import { isErrorLike } from '../base/errors.ts';
import type { Profile } from '../gen/google/v1/profile_pb.ts';
import {
  QuerierService,
  type FlameGraph,
  type FlameGraphDiff,
} from '../gen/querier/v1/querier_pb.ts';
import { CliError } from './io.ts';

/** Unix ms, both ends inclusive. */
export interface Range {
  readonly start: bigint;
  readonly end: bigint;
}

/** Which profiles of a server. */
export interface Selection extends Range {
  /** Five-part profile type id. */
  readonly type: string;
  readonly selector: string;
}

/** An answer, and what it says about itself. */
export interface Answered<T> {
  readonly value: T;
  /** Whether it is exact; undefined where the server does not say, as others than Tephra. */
  readonly exact: boolean | undefined;
  /** Why it is not, as the server wrote it. */
  readonly notes: string | undefined;
}

/** A point of a line: Unix ms, and the sum of the step that ends there. */
export interface LinePoint {
  readonly timeMs: number;
  readonly value: number;
}

/** Values over time of the series that share these labels. */
export interface Line {
  readonly labels: readonly (readonly [name: string, value: string])[];
  readonly points: readonly LinePoint[];
}

/** A profile to store. */
export interface Upload {
  /** What messages call it. */
  readonly file: string;
  readonly body: Uint8Array;
  readonly format: 'pprof' | 'folded';
  readonly service: string;
  /** `name=value` each. */
  readonly labels: readonly string[];
  /** undefined = the time in the profile. */
  readonly atMs: number | undefined;
}

/** One profile was refused, or could not be read; others may still be good. */
export class FileError extends CliError {}

/** A server. All methods throw `CliError`s that say what to do next. */
export interface Remote {
  readonly url: string;
  /** Stores a profile durably. Throws {@link FileError} where it was refused. */
  push(upload: Upload): Promise<void>;
  labelNames(selector: string, range: Range): Promise<readonly string[]>;
  labelValues(name: string, selector: string, range: Range): Promise<readonly string[]>;
  flameGraph(selection: Selection, maxNodes: number): Promise<Answered<FlameGraph | undefined>>;
  /** With full frames. */
  profile(selection: Selection): Promise<Answered<Profile>>;
  diff(
    left: Selection,
    right: Selection,
    maxNodes: number,
  ): Promise<Answered<FlameGraphDiff | undefined>>;
  /** `limit` = lines with the largest sums; 0 = all. */
  series(
    selection: Selection,
    stepMs: number,
    groupBy: readonly string[],
    limit: number,
  ): Promise<Answered<readonly Line[]>>;
}

/** Shows people what they wait for. */
type Waiting = <T>(what: string, work: Promise<T>) => Promise<T>;

/** The server at `url`, which has no slash at its end. Nothing is sent before the first call. */
export function openRemote(url: string, token: string | undefined, waiting: Waiting): Remote {
  const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const client = createClient(
    QuerierService,
    createConnectTransport({ baseUrl: url, httpVersion: '1.1', useBinaryFormat: true }),
  );
  const ask = async <T>(call: (options: CallOptions) => Promise<T>): Promise<Answered<T>> => {
    const headers = new Headers();
    const options: CallOptions = {
      headers: authorization,
      onHeader: (received) => received.forEach((value, name) => headers.set(name, value)),
    };
    const value = await calling(url, () => waiting('asking', call(options)));
    const exact = headers.get('tephra-exact');
    return {
      value,
      exact: exact === null ? undefined : exact === 'true',
      notes: exact === 'false' ? (headers.get('tephra-notes') ?? '') : undefined,
    };
  };
  const wire = ({ type, ...rest }: Selection, maxNodes: number) => ({
    profileTypeID: type,
    labelSelector: rest.selector,
    start: rest.start,
    end: rest.end,
    maxNodes: BigInt(maxNodes),
  });
  return {
    url,
    push: (upload) =>
      calling(url, () => waiting(`sending ${upload.file} to`, send(url, authorization, upload))),
    async labelNames(selector, range) {
      const request = { matchers: [selector], ...range };
      return (await ask((options) => client.labelNames(request, options))).value.names;
    },
    async labelValues(name, selector, range) {
      const request = { name, matchers: [selector], ...range };
      return (await ask((options) => client.labelValues(request, options))).value.names;
    },
    async flameGraph(selection, maxNodes) {
      const request = wire(selection, maxNodes);
      const answer = await ask((options) => client.selectMergeStacktraces(request, options));
      return { ...answer, value: answer.value.flamegraph };
    },
    profile(selection) {
      const { maxNodes: _none, ...request } = wire(selection, 0);
      return ask((options) => client.selectMergeProfile(request, options));
    },
    async diff(left, right, maxNodes) {
      const request = { left: wire(left, maxNodes), right: wire(right, maxNodes) };
      const answer = await ask((options) => client.diff(request, options));
      return { ...answer, value: answer.value.flamegraph };
    },
    async series(selection, stepMs, groupBy, limit) {
      const { maxNodes: _none, ...fields } = wire(selection, 0);
      const request = {
        ...fields,
        groupBy: [...groupBy],
        step: stepMs / 1_000,
        ...(limit > 0 ? { limit: BigInt(limit) } : {}),
      };
      const answer = await ask((options) => client.selectSeries(request, options));
      const lines = answer.value.series.map(({ labels, points }) => ({
        labels: labels.map(({ name, value }) => [name, value] as const),
        points: points.map(({ timestamp, value }) => ({ timeMs: Number(timestamp), value })),
      }));
      return { ...answer, value: lines };
    },
  };
}

async function send(
  server: string,
  headers: Readonly<Record<string, string>>,
  upload: Upload,
): Promise<void> {
  const folded = upload.format === 'folded';
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
    headers,
    body: Buffer.from(upload.body),
  });
  const text = await response.text();
  if (response.status === 401) throw new CliError(`${WANTS_TOKEN}: ${server}`);
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

const WANTS_TOKEN =
  'the server wants a token: give it with --token, TEPHRA_TOKEN or the configuration file';

/** Runs a call; failures become messages that say what to do next. */
async function calling<T>(server: string, call: () => Promise<T>): Promise<T> {
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
  if (error instanceof ConnectError) {
    if (error.code === Code.Unauthenticated) return new CliError(`${WANTS_TOKEN}: ${server}`);
    return new CliError(`the server refused: ${error.rawMessage}`);
  }
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
