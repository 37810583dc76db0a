import type { Clock, Timers } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import { isErrorLike } from '../base/errors.ts';
import { MINUTE_MS } from '../base/time.ts';
import type { SamplePart } from '../client/stream/part.ts';
import { SampleStream, type SettledBatch, type StreamStats } from '../client/stream/stream.ts';
import { createTransports } from '../client/transport.ts';
import { SampleContexts } from './context.ts';
import { heapParts, timeParts } from './convert.ts';
import type { AgentOptions } from './options.ts';
import type { Profiler, SampleContext } from './profiler.ts';
import { followSpans, hasSpans } from './spans.ts';

/** What an agent needs of the machine. */
export interface AgentDeps {
  readonly profiler: Profiler;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  /** Whether contexts travel in AsyncContextFrame. */
  readonly contextFrame: boolean;
  /** Version of Node and the like, for people at the server. */
  readonly about: string;
  readonly onSettled?: ((batch: SettledBatch) => void) | undefined;
}

const FLUSH_MS = 15_000;
const FIRST_FLUSH_MS = 5_000;
const CPU_HZ = 100;
const HEAP_INTERVAL_BYTES = 512 * 1024;
const HEAP_STACK_DEPTH = 64;
/** How often OpenTelemetry is looked for while it is not there: programs may load it after us. */
const SPANS_LOOK_MS = 500;
/** Told once where spans are there and off. */
export const NO_SPANS =
  'samples have no spans of OpenTelemetry: before Node 24 that costs something';
/** What is shorter than this is not worth a profile of its own. */
const CUT_MS_MIN = 50;

/** Profiles this thread and streams what it saw. */
export class Agent {
  readonly #options: AgentOptions;
  readonly #deps: AgentDeps;
  readonly #stream: SampleStream;
  readonly #contexts: SampleContexts;
  readonly #spans: boolean;
  #startedMs: number;
  #nextFlushMs: number;
  #cancel = (): void => {};
  #cancelLook = (): void => {};
  /** Wall profiles that were cut at a minute and wait for the next flush. */
  #parts: SamplePart[] = [];
  #running = true;
  #toldOfSpans = false;
  #flushes = 0;

  /** Starts profiling. Throws {@link TephraClientError} if the address or labels are wrong. */
  constructor(options: AgentOptions, deps: AgentDeps) {
    this.#options = options;
    this.#deps = deps;
    const { url = 'http://127.0.0.1:4040', token, headers, tls } = options;
    const { timers, random } = deps;
    const transports = createTransports({ url, token, headers, tls });
    this.#stream = new SampleStream(
      transports.stream,
      {
        labels: { service_name: options.service ?? 'unknown_service', ...options.labels },
        agent: `tephradb/agent ${deps.about}`,
        bufferBytes: options.bufferBytes,
        log: options.log,
        onSettled: deps.onSettled,
      },
      { timers, random },
    );
    this.#contexts = new SampleContexts(deps.profiler.time, deps.contextFrame);
    this.#spans = options.cpu !== false && (options.spans ?? deps.contextFrame);
    this.#startProfilers();
    this.#startedMs = deps.clock.nowMs();
    this.#nextFlushMs = this.#startedMs + (options.firstFlushMs ?? FIRST_FLUSH_MS);
    if (this.#spans) this.#lookForSpans();
    this.#schedule();
  }

  /** What became of the samples. */
  get stats(): StreamStats & { readonly flushes: number } {
    return { ...this.#stream.stats, flushes: this.#flushes };
  }

  /** Runs `run`; samples of it, and of what it starts, have these labels too. */
  withLabels<R>(labels: SampleContext, run: () => R): R {
    return this.#running && this.#options.cpu !== false ? this.#contexts.run(labels, run) : run();
  }

  /** Sends what was sampled so far; whether all of it is stored within `timeoutMs`. */
  async flush(timeoutMs = 5_000): Promise<boolean> {
    if (this.#running) this.#send();
    return this.#stream.flush(timeoutMs);
  }

  /** Ends profiling and sends the rest; resolves after `timeoutMs` at the latest. */
  async stop(timeoutMs = 5_000): Promise<boolean> {
    if (!this.#running) return true;
    this.#send(false);
    this.#running = false;
    this.#cancel();
    this.#cancelLook();
    this.#contexts.stop();
    const { heap } = this.#deps.profiler;
    if (this.#options.heap !== false) heap.stop();
    return this.#stream.close(timeoutMs);
  }

  #startProfilers(): void {
    const { cpu, cpuHz = CPU_HZ, heap, heapIntervalBytes = HEAP_INTERVAL_BYTES } = this.#options;
    const { profiler, contextFrame } = this.#deps;
    if (cpu !== false) {
      profiler.time.start({
        intervalMicros: Math.round(1_000_000 / cpuHz),
        // The profiler keeps samples in a buffer of so many; a flush comes well before.
        durationMillis: 2 * MINUTE_MS,
        withContexts: true,
        collectCpuTime: true,
        lineNumbers: false,
        useCPED: contextFrame,
      });
    }
    if (heap !== false) profiler.heap.start(heapIntervalBytes, HEAP_STACK_DEPTH);
  }

  #lookForSpans(): void {
    if (followSpans(this.#contexts)) return;
    this.#cancelLook = this.#deps.timers.after(SPANS_LOOK_MS, () => this.#lookForSpans());
  }

  /** Says once that spans are there and not followed, unless that was asked for. */
  #tellOfSpans(): void {
    const { spans, cpu } = this.#options;
    if (this.#toldOfSpans || spans !== undefined || cpu === false) return;
    if (this.#spans || !hasSpans()) return;
    this.#toldOfSpans = true;
    const fix = 'run on Node 24, or set TEPHRA_SPANS to true or false';
    this.#options.log?.warn(NO_SPANS, { node: this.#deps.about, fix });
  }

  /** A profile counts in the minute of its start, so it is cut where a minute ends. */
  #schedule(): void {
    const nowMs = this.#deps.clock.nowMs();
    const minuteMs = Math.floor(nowMs / MINUTE_MS + 1) * MINUTE_MS;
    const isFlush = this.#nextFlushMs <= minuteMs;
    const atMs = Math.min(this.#nextFlushMs, minuteMs);
    this.#cancel = this.#deps.timers.after(Math.max(1, atMs - nowMs), () => {
      if (isFlush) this.#send();
      else this.#guarded(() => this.#cutTime(true));
      this.#schedule();
    });
  }

  #send(restart = true): void {
    this.#guarded(() => {
      // The manager may have been replaced.
      if (this.#spans) followSpans(this.#contexts);
      else this.#tellOfSpans();
      this.#cutTime(restart);
      this.#takeHeap();
      this.#stream.write(this.#parts);
      this.#parts = [];
      this.#flushes++;
    });
    const nowMs = this.#deps.clock.nowMs();
    this.#nextFlushMs = nowMs + (this.#options.flushMs ?? FLUSH_MS);
  }

  #cutTime(restart: boolean): void {
    const { profiler, clock } = this.#deps;
    const { cpu } = this.#options;
    const nowMs = clock.nowMs();
    if (cpu === false || (restart && nowMs - this.#startedMs < CUT_MS_MIN)) return;
    const profile = profiler.time.stop(restart, ({ context }) => this.#contexts.of(context));
    this.#contexts.fetched();
    const taken = { startMs: this.#startedMs, durationMs: Math.max(0, nowMs - this.#startedMs) };
    this.#startedMs = nowMs;
    this.#keep(timeParts(profile, this.#stream.tables, {}, taken));
  }

  #takeHeap(): void {
    const { profiler, clock } = this.#deps;
    if (this.#options.heap === false) return;
    const taken = { startMs: clock.nowMs(), durationMs: 0 };
    this.#keep(heapParts(profiler.heap.profile(), this.#stream.tables, {}, taken));
  }

  #keep(parts: readonly SamplePart[]): void {
    this.#parts.push(...parts);
  }

  /** A fault of the profiler must not become one of the program. */
  #guarded(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#parts = [];
      const detail = isErrorLike(error) ? error.message : String(error);
      this.#options.log?.warn('a profile is lost', { detail });
    }
  }
}
