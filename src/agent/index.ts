/**
 * `tephradb/agent`: profiles the process that imports it. With TEPHRA_URL in the environment it starts by
 * itself, else by {@link start}. See docs/agent.md.
 */
import { basename } from 'node:path';
import { systemTimers } from '../base/clock.ts';
import { isErrorLike } from '../base/errors.ts';
import type { StreamLog, StreamStats } from '../client/stream/stream.ts';
import type { Agent } from './agent.ts';
import { flushOnExit } from './exit.ts';
import { merged, optionsOf, type AgentOptions } from './options.ts';
import { startAgent } from './start.ts';

export type { AgentOptions } from './options.ts';
export type { StreamLog, StreamStats } from '../client/stream/stream.ts';

let running: Promise<Agent | undefined> | undefined;
let agent: Agent | undefined;
let forgetExit = (): void => {};

/** One line on standard error; the program's own output stays its own. */
const stderrLog: StreamLog = {
  info: () => {},
  warn: (message, fields) => {
    process.stderr.write(`tephradb/agent: ${message} ${JSON.stringify(fields ?? {})}\n`);
  },
};

/**
 * Starts profiling this thread; options stand before the environment. A second call changes nothing
 * until {@link stop}. Resolves with whether it profiles: not without the package `@datadog/pprof`.
 * Throws {@link TephraClientError} if the address or labels are wrong.
 */
export async function start(options: AgentOptions = {}): Promise<boolean> {
  running ??= begin(options);
  try {
    agent = await running;
  } catch (error) {
    running = undefined;
    throw error;
  }
  return agent !== undefined;
}

/** Ends profiling and sends the rest, within `timeoutMs`; resolves with whether all of it is stored. */
export async function stop(timeoutMs = 5_000): Promise<boolean> {
  const stopping = await running;
  running = undefined;
  agent = undefined;
  forgetExit();
  return stopping === undefined ? true : stopping.stop(timeoutMs);
}

/** Sends what was sampled so far; resolves with whether all of it is stored within `timeoutMs`. */
export async function flush(timeoutMs = 5_000): Promise<boolean> {
  const flushed = await running;
  return flushed === undefined ? true : flushed.flush(timeoutMs);
}

/** Runs `run`; samples of it, and of the asynchronous work that it starts, have these labels too. */
export function withLabels<R>(labels: Readonly<Record<string, string>>, run: () => R): R {
  return agent === undefined ? run() : agent.withLabels(labels, run);
}

/** What became of the samples; undefined where nothing is profiled. */
export function stats(): StreamStats | undefined {
  return agent?.stats;
}

async function begin(options: AgentOptions): Promise<Agent | undefined> {
  const log = options.log ?? stderrLog;
  const fromEnvironment = optionsOf(process.env, (message) => log.warn(message));
  const program = basename(process.argv[1] ?? 'node').replace(/\.[cm]?[jt]s$/, '');
  const started = await startAgent(
    merged(merged({ service: program, log }, fromEnvironment), options),
  );
  if (started !== undefined && options.flushOnExit !== false) {
    forgetExit = flushOnExit(started, process);
  }
  return started;
}

// A start() in the program comes first.
if ((process.env['TEPHRA_URL'] ?? '') !== '') {
  void systemTimers.yield().then(() =>
    start().catch((error: unknown) => {
      stderrLog.warn('not profiled', {
        detail: isErrorLike(error) ? error.message : String(error),
      });
    }),
  );
}
