import type { DescMessage, Message } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import type { Clock } from '../../base/clock.ts';
import { TephraError } from '../../base/errors.ts';
import type { Logger } from '../../base/logger.ts';
import type { Metrics } from '../../base/metrics.ts';
import type { CallContext, Reply, RpcMethod } from './method.ts';

/** What running a call needs besides the method. */
export interface RunDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** Tenant of everything until credentials exist. */
export const ANONYMOUS = 'anonymous';

/** The context of a call that is complete now. `accept` is the Accept header, if any. */
export function callContext(clock: Clock, accept: string | null | undefined): CallContext {
  return {
    tenant: ANONYMOUS,
    arrivalMs: clock.nowMs(),
    utf8LabelNames: /;\s*allow-utf8-labelnames\s*=\s*true/i.test(accept ?? ''),
  };
}

/**
 * Runs a method for any protocol: counts and times it, logs bugs, and makes every rejection a
 * TephraError. Rejects early, as `canceled` or `deadline`, when `signal` fires; the engine then
 * finishes on its own and the answer is dropped.
 */
export async function runMethod(
  method: RpcMethod,
  decode: () => Message,
  call: CallContext,
  deps: RunDeps,
  signal?: AbortSignal,
): Promise<Reply<DescMessage>> {
  return observed(method.name, deps, () => {
    const work = Promise.resolve().then(() => method.run(decode(), call));
    return signal === undefined ? work : Promise.race([work, aborted(signal)]);
  });
}

/** Counts, times and logs one request under `name`; rejections become TephraErrors. */
export async function observed<T>(name: string, deps: RunDeps, work: () => Promise<T>): Promise<T> {
  const startedMs = deps.clock.monotonicMs();
  let outcome = 'ok';
  try {
    return await work();
  } catch (thrown) {
    const error = TephraError.from(thrown);
    outcome = error.reason;
    if (error.reason === 'internal') {
      const cause = error.cause as { stack?: unknown } | undefined;
      deps.logger.error('a request met a bug', {
        method: name,
        detail: error.detail,
        stack: cause?.stack ?? error.stack,
      });
    }
    throw error;
  } finally {
    deps.metrics.requests.inc({ method: name, outcome });
    deps.metrics.requestSeconds.observe(
      { method: name },
      (deps.clock.monotonicMs() - startedMs) / 1_000,
    );
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const stop = (): void => reject(abortReason(signal));
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
}

function abortReason(signal: AbortSignal): TephraError {
  return ConnectError.from(signal.reason).code === Code.DeadlineExceeded
    ? new TephraError('deadline', 'the deadline passed before the answer was ready')
    : new TephraError('canceled', 'the client left');
}
