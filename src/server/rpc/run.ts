import type { DescMessage, Message } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import type { Clock } from '../../base/clock.ts';
import { TephraError } from '../../base/errors.ts';
import type { Logger } from '../../base/logger.ts';
import type { Metrics } from '../../base/metrics.ts';
import { hasTinyAnswer } from '../answer/budget.ts';
import type { OpenCalls } from '../open-calls.ts';
import type { CallContext, Reply, RpcMethod, RpcStream } from './method.ts';

/** What running a call needs besides the method. */
export interface RunDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly openCalls: OpenCalls;
}

/** A call's context, and what ends the call. */
export interface RunningCall extends CallContext {
  /** Fires the signal with this reason. */
  readonly end: (error: TephraError) => void;
}

/** Tenant of everything until credentials exist. */
export const ANONYMOUS = 'anonymous';

/** The context of a call that is complete now. `accept` is the Accept header, if any. */
export function callContext(
  clock: Clock,
  accept: string | null | undefined,
  signal: AbortSignal,
): RunningCall {
  return { ...factsOf(clock, accept), ...withTephraReason(signal) };
}

/** The same for a call of which only the edge knows: nothing but `end` fires its signal. */
export function edgeContext(clock: Clock, accept: string | undefined): RunningCall {
  const controller = new AbortController();
  return {
    ...factsOf(clock, accept),
    signal: controller.signal,
    end: (error) => controller.abort(error),
  };
}

function factsOf(
  clock: Clock,
  accept: string | null | undefined,
): Pick<CallContext, 'tenant' | 'arrivalMs' | 'utf8LabelNames'> {
  return {
    tenant: ANONYMOUS,
    arrivalMs: clock.nowMs(),
    utf8LabelNames: /;\s*allow-utf8-labelnames\s*=\s*true/i.test(accept ?? ''),
  };
}

/**
 * Runs a method for any protocol: counts and times it, logs bugs, and makes every rejection a
 * TephraError. Rejects early, as `canceled` or `deadline`, when the call's signal fires, and as
 * `draining` when the server stops (not a push: it is about to be acknowledged); the engine sees the
 * signal too and ends its work soon after.
 */
export async function runMethod(
  method: RpcMethod,
  decode: () => Message,
  call: RunningCall,
  deps: RunDeps,
): Promise<Reply<DescMessage>> {
  return observed(method.name, deps, async () => {
    const forget = hasTinyAnswer(method.name) ? () => {} : deps.openCalls.add(call.end);
    try {
      return await unlessAborted(
        Promise.resolve().then(() => method.run(decode(), call)),
        call.signal,
        closeReply,
      );
    } finally {
      forget();
    }
  });
}

/** The same for a method with a stream of answers. */
export async function* runStream(
  method: RpcStream,
  decode: () => Message,
  call: RunningCall,
  deps: RunDeps,
): AsyncGenerator<Reply<DescMessage>> {
  const observation = observe(method.name, deps);
  const forget = hasTinyAnswer(method.name) ? () => {} : deps.openCalls.add(call.end);
  try {
    const replies = method.run(decode(), call)[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await unlessAborted(replies.next(), call.signal);
        if (next.done === true) break;
        yield next.value;
      }
    } finally {
      // Not awaited: it may wait for what the client no longer waits for.
      replies.return?.().catch(() => {});
    }
  } catch (thrown) {
    throw observation.failed(thrown);
  } finally {
    forget();
    observation.end();
  }
}

/** Counts, times and logs one request under `name`; rejections become TephraErrors. */
export async function observed<T>(name: string, deps: RunDeps, work: () => Promise<T>): Promise<T> {
  const observation = observe(name, deps);
  try {
    return await work();
  } catch (thrown) {
    throw observation.failed(thrown);
  } finally {
    observation.end();
  }
}

/** Gives back what an answer holds that nobody will get. */
function closeReply(reply: Reply<DescMessage>): void {
  if ('encoded' in reply) reply.encoded.front?.close();
}

/** A signal whose reason is a TephraError, from one of a client library. */
function withTephraReason(signal: AbortSignal): Pick<RunningCall, 'signal' | 'end'> {
  const controller = new AbortController();
  const abort = (): void => controller.abort(abortReason(signal.reason));
  if (signal.aborted) abort();
  else signal.addEventListener('abort', abort, { once: true });
  return { signal: controller.signal, end: (error) => controller.abort(error) };
}

function observe(
  name: string,
  deps: RunDeps,
): { failed: (thrown: unknown) => TephraError; end: () => void } {
  const startedMs = deps.clock.monotonicMs();
  let outcome = 'ok';
  return {
    failed(thrown) {
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
      return error;
    },
    end() {
      deps.metrics.requests.inc({ method: name, outcome });
      deps.metrics.requestSeconds.observe(
        { method: name },
        (deps.clock.monotonicMs() - startedMs) / 1_000,
      );
    },
  };
}

/**
 * What `work` resolves to, or the signal's reason if that comes first. Not Promise.race: that would
 * keep the answer for as long as the signal lives, and so until a slow client has read a copy of it. What
 * comes too late is discarded.
 */
export function unlessAborted<T>(
  work: Promise<T>,
  signal: AbortSignal,
  discard: (late: T) => void = () => {},
): Promise<T> {
  return new Promise((resolve, reject) => {
    let stopped = false;
    const stop = (): void => {
      stopped = true;
      reject(TephraError.from(signal.reason));
    };
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
    const done = (): void => signal.removeEventListener('abort', stop);
    work.then(
      (value) => {
        done();
        if (stopped) discard(value);
        else resolve(value);
      },
      (error: unknown) => {
        done();
        reject(TephraError.from(error));
      },
    );
  });
}

function abortReason(reason: unknown): TephraError {
  if (reason instanceof TephraError) return reason;
  return ConnectError.from(reason).code === Code.DeadlineExceeded
    ? new TephraError('deadline', 'the deadline passed before the answer was ready')
    : new TephraError('canceled', 'the client left');
}
