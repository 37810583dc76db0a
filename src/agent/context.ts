import { AsyncLocalStorage, createHook, type AsyncHook } from 'node:async_hooks';
import type { Profiler, SampleContext } from './profiler.ts';

/** Keys under which the span of a sample travels; they become spans, not labels. */
export const SPAN_KEY = 'span_id';
export const TRACE_KEY = 'trace_id';

const NONE: SampleContext = {};

/**
 * What is true of the code that runs now: dynamic labels and the active span. Where Node has
 * AsyncContextFrame (24 and later) the profiler reads it by itself; elsewhere a hook tells it at every
 * switch between asynchronous callbacks, from the first use on.
 */
export class SampleContexts {
  readonly #store = new AsyncLocalStorage<SampleContext>();
  readonly #time: Profiler['time'];
  readonly #native: boolean;
  #hook: AsyncHook | undefined;

  constructor(time: Profiler['time'], native: boolean) {
    this.#time = time;
    this.#native = native;
  }

  /** Runs `run` with more context; asynchronous work that it starts has it too. */
  run<R>(more: SampleContext, run: () => R): R {
    const context = { ...this.#store.getStore(), ...more };
    if (this.#native) {
      return this.#store.run(context, () => this.#time.runWithContext(context, run));
    }
    this.#startHook();
    const before = this.#store.getStore() ?? NONE;
    return this.#store.run(context, () => {
      this.#tell(context);
      try {
        return run();
      } finally {
        this.#tell(before);
      }
    });
  }

  /** Ends the hook. */
  stop(): void {
    this.#hook?.disable();
    this.#hook = undefined;
  }

  #startHook(): void {
    if (this.#hook !== undefined) return;
    const tell = (): void => this.#tell(this.#store.getStore() ?? NONE);
    this.#hook = createHook({ before: tell, after: () => this.#tell(NONE) }).enable();
  }

  #tell(context: SampleContext): void {
    if (this.#time.isStarted()) this.#time.setContext(context);
  }
}

/** Whether Node carries contexts in AsyncContextFrame; by version, from 24 on unless switched off. */
export function hasContextFrame(nodeVersion: string, execArgv: readonly string[]): boolean {
  const [major = 0] = nodeVersion.split('.').map(Number);
  const isOff = execArgv.includes('--no-async-context-frame');
  return (major >= 24 && !isOff) || (major >= 22 && execArgv.includes(FRAME_FLAG));
}

const FRAME_FLAG = '--experimental-async-context-frame';
