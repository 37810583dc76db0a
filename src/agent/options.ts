import type { StreamLog } from '../client/stream/stream.ts';
import type { TlsOptions } from '../client/transport.ts';

/** How to profile this process. */
export interface AgentOptions {
  /** Where the server is; TEPHRA_URL; `http://127.0.0.1:4040`. */
  readonly url?: string | undefined;
  /** TEPHRA_TOKEN. */
  readonly token?: string | undefined;
  /** Sent with every connection. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly tls?: TlsOptions | undefined;
  /** Label `service_name`; TEPHRA_SERVICE; the name of npm's package or of the program. */
  readonly service?: string | undefined;
  /** Labels of everything; TEPHRA_LABELS: `region=eu,version=1.4`. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** Wall and CPU time; TEPHRA_PROFILE_CPU; true. */
  readonly cpu?: boolean | undefined;
  /** Samples a second; TEPHRA_CPU_HZ; 100. */
  readonly cpuHz?: number | undefined;
  /** Memory in use; TEPHRA_PROFILE_HEAP; true. */
  readonly heap?: boolean | undefined;
  /** Bytes allocated between two samples, on average; TEPHRA_HEAP_INTERVAL; 524,288. */
  readonly heapIntervalBytes?: number | undefined;
  /** Span ids of OpenTelemetry's active span; TEPHRA_SPANS; true on Node 24 and later. */
  readonly spans?: boolean | undefined;
  /** Between two flushes; TEPHRA_FLUSH_SECONDS; 15,000. */
  readonly flushMs?: number | undefined;
  /** Until the first flush; 5,000. */
  readonly firstFlushMs?: number | undefined;
  /** Memory for what the server has not acknowledged; TEPHRA_BUFFER_BYTES; 8 MiB. */
  readonly bufferBytes?: number | undefined;
  /** Flush when the process ends by itself, by SIGTERM or by SIGINT; true. */
  readonly flushOnExit?: boolean | undefined;
  readonly log?: StreamLog | undefined;
}

/** Options that the environment gives; what is wrong is told to `warn` and left out. */
export function optionsOf(
  environment: Readonly<Record<string, string | undefined>>,
  warn: (message: string) => void,
): AgentOptions {
  const read = <T>(name: string, parse: (text: string) => T | undefined): T | undefined => {
    const text = environment[name];
    if (text === undefined || text === '') return undefined;
    const value = parse(text);
    if (value === undefined) warn(`${name} is not understood: ${JSON.stringify(text)}`);
    return value;
  };
  const seconds = read('TEPHRA_FLUSH_SECONDS', positive);
  return {
    url: read('TEPHRA_URL', (text) => (/^https?:\/\//.test(text) ? text : undefined)),
    token: environment['TEPHRA_TOKEN'],
    service: environment['TEPHRA_SERVICE'] ?? environment['npm_package_name'],
    labels: read('TEPHRA_LABELS', labelsOf),
    cpu: read('TEPHRA_PROFILE_CPU', truth),
    cpuHz: read('TEPHRA_CPU_HZ', positive),
    heap: read('TEPHRA_PROFILE_HEAP', truth),
    heapIntervalBytes: read('TEPHRA_HEAP_INTERVAL', positive),
    spans: read('TEPHRA_SPANS', truth),
    flushMs: seconds === undefined ? undefined : seconds * 1_000,
    bufferBytes: read('TEPHRA_BUFFER_BYTES', positive),
  };
}

/** `a` with what `b` gives instead. */
export function merged(a: AgentOptions, b: AgentOptions): AgentOptions {
  const given = Object.entries(b).filter(([, value]) => value !== undefined);
  return { ...a, ...Object.fromEntries(given), labels: { ...a.labels, ...b.labels } };
}

function labelsOf(text: string): Record<string, string> | undefined {
  const pairs = text.split(',').map((pair) => /^\s*([^=\s]+)=(.*)$/.exec(pair));
  if (pairs.some((pair) => pair === null)) return undefined;
  return Object.fromEntries(pairs.map((pair) => [pair?.[1] ?? '', (pair?.[2] ?? '').trim()]));
}

function positive(text: string): number | undefined {
  const value = Number(text);
  return value > 0 && Number.isFinite(value) ? value : undefined;
}

function truth(text: string): boolean | undefined {
  if (['true', '1', 'on'].includes(text)) return true;
  return ['false', '0', 'off'].includes(text) ? false : undefined;
}
