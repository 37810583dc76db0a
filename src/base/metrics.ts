import { Counter, Gauge, Histogram, Registry } from 'prom-client';

/** Seconds that histograms of durations tell apart. */
const SECONDS_BUCKETS = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
];

/**
 * Everything that is counted. The names are part of what operators build on: never renamed, listed
 * with their help on `/metrics`. There is no global registry, so that tests can run servers side by
 * side.
 */
export interface Metrics {
  /** Profiles by surface (`push`, `ingest`, `otlp`, ...) and outcome (stored, duplicate, empty, or a reason). */
  readonly profiles: Counter<'surface' | 'outcome'>;
  /** OTLP requests refused for the layout that they are in, by layout. */
  readonly otlpLayouts: Counter<'layout'>;
  /** Payload bytes of profiles as received, by surface. */
  readonly profileBytes: Counter<'surface'>;
  /** Requests by method (RPC name or route) and outcome (`ok` or a reason). */
  readonly requests: Counter<'method' | 'outcome'>;
  /** Seconds from the whole request to its answer, by method. */
  readonly requestSeconds: Histogram<'method'>;
  /** Bytes of requests held at this moment. */
  readonly inFlightBytes: Gauge;
  /** Bytes of requests that may be held: less than configured while the engine or the disk is behind. */
  readonly inFlightLimitBytes: Gauge;
  /** Bytes of answers that clients have not taken yet. */
  readonly answerBytes: Gauge;
  /** Sockets by what the sniffer saw: `h1`, `h2`, `closed` (left or timed out). */
  readonly connections: Counter<'protocol'>;
  /** Runs of the jobs' clock by outcome (`ok`, `failed`). */
  readonly jobRuns: Counter<'outcome'>;
  /** What the engine counts by itself, by name, as of the last run of the jobs. */
  readonly engine: Gauge<'counter'>;
  /** What is known to be damaged, lost or set aside, by kind. */
  readonly damage: Gauge<'kind'>;
  /** The store's own gauges by name: bytes scrubbed, volumes open, full disk and so on. */
  readonly store: Gauge<'gauge'>;
  /** For gauges and counters of other modules. */
  readonly registry: Registry;
  /** Prometheus text format. */
  text(): Promise<string>;
  /** Content type of {@link text}. */
  readonly contentType: string;
}

/** A fresh set of metrics in a registry of its own. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  const registers = [registry];
  return {
    profiles: new Counter({
      name: 'tephra_profiles_total',
      help: 'Profiles by surface and outcome (stored, duplicate, empty, or the reason of a refusal).',
      labelNames: ['surface', 'outcome'],
      registers,
    }),
    otlpLayouts: new Counter({
      name: 'tephra_otlp_old_layouts_total',
      help: 'OTLP requests refused because they are in a layout older than 1.10, by layout.',
      labelNames: ['layout'],
      registers,
    }),
    profileBytes: new Counter({
      name: 'tephra_profile_bytes_total',
      help: 'Payload bytes of profiles as received, by surface.',
      labelNames: ['surface'],
      registers,
    }),
    requests: new Counter({
      name: 'tephra_requests_total',
      help: 'Requests by method and outcome (ok or a reason).',
      labelNames: ['method', 'outcome'],
      registers,
    }),
    requestSeconds: new Histogram({
      name: 'tephra_request_seconds',
      help: 'Seconds from the whole request to its answer, by method.',
      labelNames: ['method'],
      buckets: SECONDS_BUCKETS,
      registers,
    }),
    inFlightBytes: new Gauge({
      name: 'tephra_in_flight_bytes',
      help: 'Bytes of requests held at this moment.',
      registers,
    }),
    inFlightLimitBytes: new Gauge({
      name: 'tephra_in_flight_limit_bytes',
      help: 'Bytes of requests that may be held; halved each second while the engine or the disk is behind.',
      registers,
    }),
    answerBytes: new Gauge({
      name: 'tephra_answer_bytes',
      help: 'Bytes of answers that clients have not taken yet.',
      registers,
    }),
    connections: new Counter({
      name: 'tephra_connections_total',
      help: 'Sockets by protocol: h1, h2, or closed before it was known.',
      labelNames: ['protocol'],
      registers,
    }),
    jobRuns: new Counter({
      name: 'tephra_job_runs_total',
      help: 'Runs of the jobs clock by outcome.',
      labelNames: ['outcome'],
      registers,
    }),
    damage: new Gauge({
      name: 'tephra_damage',
      help: 'Stored things known to be damaged, lost or set aside, by kind; 0 is what it should be.',
      labelNames: ['kind'],
      registers,
    }),
    store: new Gauge({
      name: 'tephra_store',
      help: 'What the store and its upkeep count.',
      labelNames: ['gauge'],
      registers,
    }),
    engine: new Gauge({
      name: 'tephra_engine',
      help: 'What the engine counts by itself, as of the last run of the jobs.',
      labelNames: ['counter'],
      registers,
    }),
    registry,
    text: () => registry.metrics(),
    contentType: registry.contentType,
  };
}
