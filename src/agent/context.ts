import {
  AsyncLocalStorage,
  createHook,
  executionAsyncId,
  executionAsyncResource,
  type AsyncHook,
} from 'node:async_hooks';
import type { Profiler, SampledContext, SampleContext } from './profiler.ts';

/** Keys under which the span of a sample travels; they become spans, not labels. */
export const SPAN_KEY = 'span_id';
export const TRACE_KEY = 'trace_id';

const NONE: SampleContext = {};

/** What the profiler keeps for a sample where Node does not carry contexts: read when samples are fetched. */
interface Holder {
  context: SampleContext;
}

/**
 * What is true of the code that runs now: dynamic labels and the active span. Where Node has
 * AsyncContextFrame (24 and later) the profiler reads it by itself; elsewhere a hook tells it at every
 * switch between asynchronous callbacks, from the first use on.
 */
export class SampleContexts {
  readonly #time: Profiler['time'];
  readonly #native: boolean;
  /** Only where Node does not carry contexts for the profiler. */
  readonly #store = new AsyncLocalStorage<SampleContext>();
  #hook: AsyncHook | undefined;
  /** By `kSampleCount`, samples that were taken since they were fetched. */
  #state: Readonly<Record<number, number>> | undefined;
  #told: Holder = { context: NONE };
  #isOver = false;
  /** Samples that were taken when the profiler was given {@link #told}; -1 = never. */
  #toldAt = -1;

  constructor(time: Profiler['time'], native: boolean) {
    this.#time = time;
    this.#native = native;
  }

  /** Whether anything is profiled that could have a context. */
  get isActive(): boolean {
    return !this.#isOver && this.#time.isStarted();
  }

  /** Runs `run` with more context; asynchronous work that it starts has it too. */
  run<R>(more: SampleContext, run: () => R): R {
    if (!this.isActive) return run();
    return this.#within({ ...this.#current(), ...more }, run);
  }

  /** Runs `run` within a span, or outside of all ('', ''), with the labels that there are. */
  runInSpan<R>(spanId: string, traceId: string, run: () => R): R {
    if (!this.isActive) return run();
    const current = this.#current();
    // Libraries activate a span again and again: only another one costs something.
    if ((current[SPAN_KEY] ?? '') === spanId) return run();
    const { [SPAN_KEY]: _, [TRACE_KEY]: __, ...labels } = current;
    const span = spanId === '' ? {} : { [SPAN_KEY]: spanId, [TRACE_KEY]: traceId };
    return this.#within({ ...labels, ...span }, run);
  }

  /** The context of a sample, as the profiler gives it back. */
  of(sampled: SampledContext | undefined): SampleContext {
    const context = sampled?.context ?? NONE;
    if (this.#native) return context as SampleContext;
    return 'context' in context ? (context as Holder).context : NONE;
  }

  /** Samples so far were fetched: none has what was told last. */
  fetched(): void {
    this.#toldAt = -1;
  }

  /** From now on `run` is all that is run. */
  stop(): void {
    this.#isOver = true;
    this.#hook?.disable();
    this.#hook = undefined;
  }

  #current(): SampleContext {
    if (!this.#native) return this.#store.getStore() ?? NONE;
    return (this.#time.getContext() as SampleContext | undefined) ?? NONE;
  }

  #within<R>(context: SampleContext, run: () => R): R {
    if (this.#native) return this.#time.runWithContext(context, run);
    this.#startHook();
    const before = this.#told.context;
    return this.#store.run(context, () => {
      this.#tell(context);
      try {
        return run();
      } finally {
        this.#tell(before);
      }
    });
  }

  /** Runs at every switch of the whole process: each line of it is felt. */
  #startHook(): void {
    if (this.#hook !== undefined) return;
    const store = this.#store;
    const outer: SampleContext[] = [];
    // The main program is no callback.
    let depth = executionAsyncId() > 1 ? 1 : 0;
    this.#hook = createHook({
      before: () => {
        // Callbacks may interrupt each other; most do not.
        if (depth++ > 0) outer.push(this.#told.context);
        const context = store.getStore() ?? NONE;
        if (context !== this.#told.context) this.#tell(context);
      },
      after: () => {
        // What runs before the next callback is nobody's, or garbage of this one.
        if (depth === 0 || --depth === 0) return;
        this.#tell(outer.pop() ?? NONE);
      },
    }).enable();
  }

  /**
   * Samples keep the holder that the profiler had: it may be written until a sample was taken with it. So
   * the profiler is told once a sample and not once a switch.
   */
  #tell(context: SampleContext): void {
    const { kSampleCount } = this.#time.constants;
    const taken = this.#state?.[kSampleCount] ?? -1;
    if (taken >= 0 && taken === this.#toldAt) {
      this.#told.context = context;
      return;
    }
    if (!this.isActive) return;
    this.#state ??= this.#time.getState();
    this.#toldAt = this.#state[kSampleCount] ?? -1;
    this.#told = { context };
    this.#time.setContext(this.#told);
  }
}

/**
 * Whether Node carries contexts in AsyncContextFrame (from 24 on, unless it is switched off) and not in the
 * resources of its asynchronous calls. Options come from more than one place, so it is tried.
 */
export function hasContextFrame(): boolean {
  const store = new AsyncLocalStorage<true>();
  const keys = (): readonly PropertyKey[] => Reflect.ownKeys(executionAsyncResource());
  const before = new Set(keys());
  const isInResource = store.run(true, () => keys().some((key) => !before.has(key)));
  store.disable();
  return !isInResource;
}
