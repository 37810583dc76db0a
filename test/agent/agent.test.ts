import { AsyncResource } from 'node:async_hooks';
import { EventEmitter } from 'node:events';
import { describe, expect, test } from '@jest/globals';
import { Agent, NO_SPANS } from '../../src/agent/agent.ts';
import { hasContextFrame, SampleContexts } from '../../src/agent/context.ts';
import { flushOnExit } from '../../src/agent/exit.ts';
import { merged, optionsOf } from '../../src/agent/options.ts';
import type { PprofObject, Profiler, SampleContext } from '../../src/agent/profiler.ts';
import { followSpans, hasSpans } from '../../src/agent/spans.ts';
import { NO_PROFILER, startAgent } from '../../src/agent/start.ts';
import { systemTimers } from '../../src/base/clock.ts';
import { seededRandom } from '../../src/base/random.ts';
import { FakeServer } from '../client/stream/fake-server.ts';

/** A profiler that saw ten samples of `main` whenever it is asked. */
class FakeProfiler implements Profiler {
  /** What a sample that is taken now would have. */
  get context(): SampleContext {
    return (this.holder as { context?: SampleContext }).context ?? {};
  }
  started: string[] = [];
  isRunning = true;
  /** How often the profiler was told something. */
  told = 0;
  readonly state: Record<number, number> = { 3: 0 };
  /** What a sample keeps. */
  holder: object = {};
  readonly time = {
    start: (): void => void this.started.push('time'),
    stop: (restart: boolean): PprofObject => {
      if (!restart) this.started.push('time stopped');
      return this.#profile([10, 100_000_000, 90_000_000]);
    },
    setContext: (context: object): void => {
      this.told++;
      this.holder = context;
    },
    runWithContext: <R>(context: SampleContext, run: () => R): R => {
      const before = this.holder;
      this.holder = { context };
      try {
        return run();
      } finally {
        this.holder = before;
      }
    },
    getContext: (): object => this.context,
    getState: (): Record<number, number> => this.state,
    constants: { kSampleCount: 3 },
    isStarted: (): boolean => this.isRunning,
  };
  readonly heap = {
    start: (): void => void this.started.push('heap'),
    stop: (): void => void this.started.push('heap stopped'),
    profile: (): PprofObject => this.#profile([1, 1_000]),
  };

  #profile(value: number[]): PprofObject {
    return {
      sampleType: [],
      sample: [{ locationId: [1], value, label: [] }],
      location: [{ id: 1, line: [{ functionId: 1, line: 3 }] }],
      function: [{ id: 1, name: 1, filename: 2 }],
      stringTable: { strings: ['', 'main', 'a.js'] },
      period: 10_000_000,
    };
  }
}

/** A clock that jumps to the next timer. */
class Jumps {
  nowMs = 57_000;
  readonly waits: { atMs: number; run: () => void }[] = [];
  readonly clock = { nowMs: () => this.nowMs, monotonicMs: () => this.nowMs };
  readonly timers = {
    ...systemTimers,
    after: (delayMs: number, run: () => void): (() => void) => {
      const wait = { atMs: this.nowMs + delayMs, run };
      this.waits.push(wait);
      return () => void this.waits.splice(this.waits.indexOf(wait), 1);
    },
  };

  /** Runs the next timer; those of the connection come later. */
  jump(): number {
    this.waits.sort((a, b) => a.atMs - b.atMs);
    const next = this.waits.shift();
    this.nowMs = next?.atMs ?? this.nowMs;
    next?.run();
    return this.nowMs;
  }
}

describe('the agent', () => {
  test('cuts at the minute, flushes early first, and sends what it saw', async () => {
    const server = await new FakeServer().start();
    const profiler = new FakeProfiler();
    const jumps = new Jumps();
    const agent = new Agent(
      { url: server.url, service: 'shop', labels: { region: 'eu' }, flushMs: 10_000 },
      {
        profiler,
        clock: jumps.clock,
        timers: jumps.timers,
        random: seededRandom(1),
        contextFrame: false,
        about: 'test',
      },
    );
    expect(profiler.started).toEqual(['time', 'heap']);
    expect(jumps.jump()).toBe(60_000);
    expect(jumps.jump()).toBe(62_000);
    expect(jumps.jump()).toBe(72_000);
    expect(await agent.stop()).toBe(true);
    expect(agent.stats).toMatchObject({ flushes: 3, droppedEntries: 0, bufferedBatches: 0 });
    expect(profiler.started.slice(2)).toEqual(['time stopped', 'heap stopped']);
    const sums = Object.fromEntries(
      [...server.sums].map(([key, value]) => [key.slice(0, key.indexOf(':', 7)), value]),
    );
    expect(sums).toMatchObject({
      'wall:samples': 40n,
      'wall:wall': 400_000_000n,
      process_cpu: 360_000_000n,
    });
    expect(server.opens[0]?.labels.map(({ name, value }) => `${name}=${value}`)).toEqual([
      'service_name=shop',
      'region=eu',
    ]);
    expect(await agent.stop()).toBe(true);
    server.stop();
  });

  test('says in one line that there is no profiler, and does nothing', async () => {
    const lines: string[] = [];
    const log = { info: () => {}, warn: (message: string) => void lines.push(message) };
    const none = 'Cannot find package' as unknown as Profiler;
    expect(await startAgent({ log }, { profiler: none })).toBeUndefined();
    expect(lines).toEqual([NO_PROFILER]);
  });

  test('a fault of the profiler is told and stays its own', async () => {
    const profiler = new FakeProfiler();
    profiler.heap.profile = () => {
      throw new Error('no heap');
    };
    const lines: string[] = [];
    const log = { info: () => {}, warn: (message: string) => void lines.push(message) };
    const agent = await startAgent({ url: 'http://127.0.0.1:9', log }, { profiler });
    expect(await agent?.flush(1)).toBe(true);
    expect(lines).toEqual(['a profile is lost']);
    await agent?.stop(1);
  });
});

describe('contexts', () => {
  test('follow asynchronous work where Node does not carry them', async () => {
    const profiler = new FakeProfiler();
    const contexts = new SampleContexts(profiler.time, false);
    const seen: SampleContext[] = [];
    const look = async (): Promise<void> => {
      seen.push(profiler.context);
      await new Promise((resolve) => setTimeout(resolve, 2));
      seen.push(profiler.context);
    };
    await Promise.all([
      contexts.run({ endpoint: '/a' }, look),
      contexts.run({ endpoint: '/b' }, () => contexts.run({ user: 'x' }, look)),
      look(),
    ]);
    contexts.stop();
    const [a, b, none] = [{ endpoint: '/a' }, { endpoint: '/b', user: 'x' }, {}];
    expect(seen).toEqual([a, b, none, a, b, none]);
  });

  test('are told once a sample, however often they change', () => {
    const profiler = new FakeProfiler();
    const contexts = new SampleContexts(profiler.time, false);
    for (let i = 0; i < 100; i++) contexts.run({ i: String(i) }, () => {});
    expect(profiler.told).toBe(1);
    const sampled = contexts.run({ i: 'sampled' }, () => {
      profiler.state[3] = 1;
      return { context: profiler.holder };
    });
    contexts.run({ i: 'later' }, () => {});
    expect([profiler.told, contexts.of(sampled)]).toEqual([2, { i: 'sampled' }]);
    contexts.stop();
  });

  test('are told to the profiler where Node carries them', () => {
    const profiler = new FakeProfiler();
    const contexts = new SampleContexts(profiler.time, true);
    const seen = contexts.run({ a: '1' }, () => contexts.run({ b: '2' }, () => profiler.context));
    expect([seen, profiler.context, profiler.told]).toEqual([{ a: '1', b: '2' }, {}, 0]);
  });

  test('cost nothing, and throw nothing, while nothing is profiled', () => {
    for (const isNative of [true, false]) {
      const profiler = new FakeProfiler();
      const contexts = new SampleContexts(profiler.time, isNative);
      profiler.isRunning = false;
      expect(contexts.run({ a: '1' }, () => 'ran')).toBe('ran');
      expect(contexts.runInSpan('a1', 'b2', () => 'ran')).toBe('ran');
      expect(profiler.told).toBe(0);
    }
  });

  test('have the active span of OpenTelemetry, and none where none is active', () => {
    const api = Symbol.for('opentelemetry.js.api.1');
    const key = Symbol.for('OpenTelemetry Context Key SPAN');
    const context = {
      with: (_: unknown, run: (n: number) => unknown, self: unknown, n: number): unknown =>
        run.call(self, n),
    };
    const profiler = new FakeProfiler();
    const contexts = new SampleContexts(profiler.time, true);
    expect([hasSpans(), followSpans(contexts)]).toEqual([false, false]);
    (globalThis as Record<symbol, unknown>)[api] = { context };
    expect([hasSpans(), followSpans(contexts), followSpans(contexts)]).toEqual([true, true, true]);
    const spanOf = (spanId: string): object => ({
      getValue: (asked: symbol) =>
        asked === key ? { spanContext: () => ({ spanId, traceId: 'b2' }) } : undefined,
    });
    const seen: SampleContext[] = [];
    const see = (n: number): number => {
      seen.push(profiler.context);
      return n + 1;
    };
    const within = (spanId: string): unknown => context.with(spanOf(spanId), see, undefined, 41);
    expect(contexts.run({ route: '/' }, () => within('a1'))).toBe(42);
    context.with(spanOf('a1'), () => within('00'), undefined, 0);
    context.with(spanOf('a1'), () => within('a2'), undefined, 0);
    expect(seen).toEqual([
      { route: '/', span_id: 'a1', trace_id: 'b2' },
      {},
      { span_id: 'a2', trace_id: 'b2' },
    ]);
    delete (globalThis as Record<symbol, unknown>)[api];
  });

  test.each([
    { contextFrame: true, spans: undefined, says: [] },
    { contextFrame: false, spans: false, says: [] },
    { contextFrame: false, spans: undefined, says: [NO_SPANS] },
  ])('spans that are left out are told once: %j', async ({ contextFrame, spans, says }) => {
    const api = Symbol.for('opentelemetry.js.api.1');
    (globalThis as Record<symbol, unknown>)[api] = { context: { with: () => {} } };
    const lines: string[] = [];
    const log = { info: () => {}, warn: (message: string) => void lines.push(message) };
    const deps = { profiler: new FakeProfiler(), contextFrame };
    const agent = await startAgent({ url: 'http://127.0.0.1:9', log, spans }, deps);
    await agent?.flush(1);
    await agent?.flush(1);
    delete (globalThis as Record<symbol, unknown>)[api];
    await agent?.stop(1);
    expect(lines.filter((line) => line === NO_SPANS)).toEqual(says);
  });
});

// Elsewhere there is another hook, and this one is not used.
const withoutFrame = hasContextFrame() ? describe.skip : describe;
withoutFrame('contexts where Node does not carry them', () => {
  test('come back where a callback that interrupted them ends', () => {
    const profiler = new FakeProfiler();
    const contexts = new SampleContexts(profiler.time, false);
    contexts.run({ first: 'yes' }, () => {});
    const outside = new AsyncResource('OUTSIDE');
    const seen = contexts.run({ a: '1' }, () => [
      outside.runInAsyncScope(() => profiler.context),
      profiler.context,
    ]);
    expect(seen).toEqual([{}, { a: '1' }]);
    contexts.stop();
  });
});

describe('settings', () => {
  test('come from the environment, behind those of the program', () => {
    const warnings: string[] = [];
    const environment = {
      TEPHRA_URL: 'https://tephra:4040',
      TEPHRA_SERVICE: 'shop',
      TEPHRA_LABELS: 'region=eu, version=1.4',
      TEPHRA_CPU_HZ: 'often',
      TEPHRA_PROFILE_HEAP: 'off',
      TEPHRA_FLUSH_SECONDS: '30',
    };
    const options = merged(
      optionsOf(environment, (message) => void warnings.push(message)),
      { service: 'mine', labels: { region: 'us' }, cpuHz: undefined },
    );
    expect(options).toMatchObject({
      url: 'https://tephra:4040',
      service: 'mine',
      labels: { region: 'us', version: '1.4' },
      heap: false,
      flushMs: 30_000,
    });
    expect(warnings).toEqual(['TEPHRA_CPU_HZ is not understood: "often"']);
  });
});

describe('the end of the process', () => {
  test('a signal waits for the last profile, then takes its course', async () => {
    for (const others of [0, 1]) {
      const on = new EventEmitter() as EventEmitter & { pid: number; kill: unknown };
      const done: string[] = [];
      on.pid = 7;
      on.kill = (pid: number, signal: string) => void done.push(`kill ${pid} ${signal}`);
      if (others === 1) on.on('SIGTERM', () => {});
      const stop = async (): Promise<boolean> => {
        done.push('stopped');
        return true;
      };
      const forget = flushOnExit({ stop }, on as unknown as NodeJS.Process);
      on.emit('SIGTERM');
      await systemTimers.yield();
      expect(done).toEqual(others === 0 ? ['stopped', 'kill 7 SIGTERM'] : ['stopped']);
      forget();
      expect(on.listenerCount('beforeExit')).toBe(0);
    }
  });
});
