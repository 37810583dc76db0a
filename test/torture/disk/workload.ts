/** What a client does to a data directory on a real disk, and what it may expect of it. */
import { systemRandom } from '../../../src/base/random.ts';
import { systemTimers, type Clock, type Timers } from '../../../src/base/clock.ts';
import { ERRORS, TephraError } from '../../../src/base/errors.ts';
import { systemFileSystem } from '../../../src/base/file-system.ts';
import type { PushItem, PushOutcome } from '../../../src/ingest/push.ts';
import { createEngine } from '../../../src/shards/create-engine.ts';
import type { ShardedEngine } from '../../../src/shards/sharded-engine.ts';
import {
  openDataDirectory,
  type DataDirectory,
} from '../../../src/storage/data-directory/data-directory.ts';
import { readFlameGraph } from '../../model/answers.ts';
import { Dice } from '../../model/dice.ts';
import { encodePprof } from '../../model/profile.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
/** Noon, so that late pushes are of the same day or the one before. */
const START_MS = Date.UTC(2026, 2, 14, 12);
const TYPE = 'wall:wall:count:wall:count';
const RESENDS_MAX = 60;

/** What the client knows of its pushes. */
export interface Book {
  /** Every push that was sent. */
  readonly sent: Set<number>;
  readonly acknowledged: Set<number>;
  /** Last time that the client's clock showed, Unix ms. */
  nowMs: number;
}

/** A fresh book. */
export function newBook(): Book {
  return { sent: new Set(), acknowledged: new Set(), nowMs: START_MS };
}

/** The profile of marker `id`: a stack that no other has, with the value 1. */
export function markerPush(id: number, startMs: number, arrivalMs: number): PushItem {
  const frame = (name: string) => ({
    name,
    systemName: name,
    file: 'a.go',
    startLine: 1,
    line: 2,
    mappingFile: '/bin/a',
    buildId: 'b1',
    address: 0,
    inlined: false,
  });
  return {
    tenant: 'anonymous',
    labels: [
      ['__name__', 'wall'],
      ['service_name', ['shop', 'cart', 'pay'][id % 3] ?? ''],
    ],
    profileId: `00000000-0000-4000-8000-${String(id + 1).padStart(12, '0')}`,
    format: 'pprof',
    surface: 'push',
    arrivalMs,
    payload: encodePprof({
      sampleTypes: [['wall', 'count']],
      periodType: ['wall', 'count'],
      period: 1n,
      timeNanos: BigInt(startMs) * 1_000_000n,
      samples: [
        { frames: [frame('main'), frame(`m_${id}`)], values: [1n], labels: [] },
        {
          frames: [frame('main'), frame(`s_${id % 5}`)],
          values: [BigInt(1 + (id % 7))],
          labels: [],
        },
      ],
    }),
  };
}

/** An engine over a data directory, inline, with the client's clock and short waits. */
export class Server {
  readonly #directory: DataDirectory;
  readonly #engine: ShardedEngine;

  private constructor(directory: DataDirectory, engine: ShardedEngine) {
    this.#directory = directory;
    this.#engine = engine;
  }

  /** Opens the directory as `tephra serve` does. */
  static async open(
    path: string,
    book: Book,
    options: { readonly ballastBytes?: number } = {},
  ): Promise<Server> {
    const clock: Clock = { nowMs: () => book.nowMs, monotonicMs: () => performance.now() };
    const timers: Timers = {
      after: (delayMs, callback) => systemTimers.after(Math.min(delayMs, 5), callback),
      yield: systemTimers.yield,
    };
    const long: Timers = { ...timers, after: (ms, run) => systemTimers.after(ms, run) };
    const directory = await openDataDirectory({
      path,
      fs: systemFileSystem,
      clock,
      timers: long,
      random: systemRandom,
      ...options,
    });
    try {
      const engine = await createEngine({
        store: directory.store,
        workers: 0,
        shardCount: 2,
        incarnation: directory.incarnation,
        clock,
        timers: { ...timers, after: (ms, run) => systemTimers.after(ms > 500 ? ms : 2, run) },
        random: systemRandom,
        limits: { flushLingerMs: 0, absorbFragments: 4, unrolledBlocksPerHourMax: 2 },
      });
      return new Server(directory, engine);
    } catch (error) {
      await directory.close().catch(() => {});
      throw error;
    }
  }

  async push(item: PushItem): Promise<PushOutcome> {
    const [outcome] = await this.#engine.push([item]);
    return outcome as PushOutcome;
  }

  runJobs(nowMs: number): Promise<void> {
    return this.#engine.runJobs(nowMs);
  }

  /** What is due each second. */
  tend(): Promise<void> {
    return this.#directory.tend();
  }

  /** Values by the function in which the stack ends. */
  async ask(): Promise<Map<string, bigint>> {
    const { bytes } = await this.#engine.flameGraph({
      tenant: 'anonymous',
      selector: '{}',
      profileType: TYPE,
      startMs: START_MS - 3 * DAY_MS,
      endMs: START_MS + 10 * DAY_MS,
      maxNodes: 100_000,
    });
    const values = new Map<string, bigint>();
    for (const [stack, value] of readFlameGraph(bytes)) {
      const name = (JSON.parse(stack) as string[]).at(-1) ?? '';
      values.set(name, (values.get(name) ?? 0n) + value);
    }
    return values;
  }

  async close(): Promise<void> {
    await this.#engine.stop();
    await this.#directory.close();
  }
}

/** What is wrong with an answer, given what was acknowledged before the question. */
export function complaintsOf(answer: Map<string, bigint>, book: Book, must: Set<number>): string[] {
  const complaints: string[] = [];
  const shared = new Map<string, bigint>();
  const counted = new Set<number>();
  for (const [name, value] of answer) {
    const id = Number(/^m_(\d+)$/.exec(name)?.[1] ?? Number.NaN);
    if (Number.isNaN(id)) continue;
    counted.add(id);
    if (!book.sent.has(id)) complaints.push(`${name} was never sent`);
    if (value !== 1n) complaints.push(`${name} counts ${value} times`);
    shared.set(`s_${id % 5}`, (shared.get(`s_${id % 5}`) ?? 0n) + BigInt(1 + (id % 7)));
  }
  for (const id of must) {
    if (!counted.has(id)) complaints.push(`m_${id} was acknowledged and is lost`);
  }
  for (let i = 0; i < 5; i++) {
    const [found, expected] = [answer.get(`s_${i}`) ?? 0n, shared.get(`s_${i}`) ?? 0n];
    if (found !== expected) complaints.push(`s_${i} is ${found}, not ${expected}`);
  }
  return complaints;
}

/**
 * Opens the directory after whatever happened to it and asks for everything; then stores one more
 * push, because what is sound takes writes.
 */
export async function verify(path: string, book: Book): Promise<string[]> {
  const own = { ...book, sent: new Set(book.sent) };
  let server: Server | undefined;
  try {
    server = await Server.open(path, own);
    const complaints = complaintsOf(await server.ask(), own, own.acknowledged);
    const last = 1_000_000 + own.sent.size;
    own.sent.add(last);
    const outcome = await server.push(markerPush(last, own.nowMs, own.nowMs));
    if (outcome.outcome !== 'stored') complaints.push(`one more push: ${JSON.stringify(outcome)}`);
    await server.runJobs(own.nowMs + 90 * MINUTE_MS);
    const must = new Set([...own.acknowledged, last]);
    complaints.push(...complaintsOf(await server.ask(), own, must).map((text) => `later: ${text}`));
    return complaints;
  } catch (error) {
    return [`it does not open or answer: ${String(error)}`];
  } finally {
    await server?.close().catch(() => {});
  }
}

/** Parts of a workload. */
export type Doing = 'start and end' | 'ingest' | 'absorb' | 'query';

/** How a workload is told and held to account. */
export interface WorkloadHooks {
  /** A push is about to be sent, or was acknowledged. */
  readonly note?: (text: string) => void;
  /** What comes next. */
  readonly begin?: (what: Doing) => void;
  /** Complaints of answers on the way. */
  readonly complain: (text: string) => void;
}

/**
 * A client's day in a directory: pushes alone and together, some late; jobs as time goes by; a clean
 * restart; questions. What fails retryably is tried again; what fails for good is complained about.
 */
export async function work(
  path: string,
  seed: number,
  steps: number,
  book: Book,
  hooks: WorkloadHooks,
): Promise<void> {
  const dice = new Dice(seed);
  hooks.begin?.('start and end');
  let server = await persist('open', hooks, () => Server.open(path, book));
  const push = async (): Promise<void> => {
    const id = book.sent.size;
    const startMs = book.nowMs - (dice.chance(70) ? dice.whole(0, 50_000) : dice.whole(0, DAY_MS));
    const arrivalMs = book.nowMs;
    book.sent.add(id);
    hooks.note?.(`sent ${id} ${arrivalMs}`);
    for (let attempt = 0; attempt < RESENDS_MAX; attempt++) {
      let outcome: PushOutcome;
      try {
        outcome = await server.push(markerPush(id, startMs, arrivalMs));
      } catch (error) {
        outcome = { outcome: 'refused', error: TephraError.from(error).toWire() };
      }
      if (outcome.outcome !== 'refused') {
        book.acknowledged.add(id);
        hooks.note?.(`acknowledged ${id}`);
        return;
      }
      const { reason, detail } = outcome.error;
      if (!ERRORS[reason].retry) {
        hooks.complain(`push ${id} was refused for good: ${reason}: ${detail}`);
        return;
      }
      await pauseMs(4);
    }
    hooks.complain(`push ${id} was never taken`);
  };
  for (let step = 0; step < steps; step++) {
    switch (dice.weighted({ push: 55, together: 15, jobs: 14, later: 6, ask: 6, restart: 4 })) {
      case 'push':
        hooks.begin?.('ingest');
        await push();
        break;
      case 'together':
        hooks.begin?.('ingest');
        await Promise.all([push(), push(), push()]);
        break;
      case 'jobs':
        hooks.begin?.('absorb');
        book.nowMs += dice.whole(1, 45) * MINUTE_MS;
        await persist('jobs', hooks, () => server.runJobs(book.nowMs));
        break;
      case 'later':
        book.nowMs += dice.whole(100, 300) * MINUTE_MS;
        break;
      case 'ask': {
        hooks.begin?.('query');
        const must = new Set(book.acknowledged);
        const answer = await persist('question', hooks, () => server.ask());
        for (const text of complaintsOf(answer, book, must)) hooks.complain(text);
        break;
      }
      case 'restart':
        hooks.begin?.('start and end');
        await server.close().catch((error: unknown) => hooks.note?.(`close: ${String(error)}`));
        server = await persist('open', hooks, () => Server.open(path, book));
        break;
    }
  }
  hooks.begin?.('start and end');
  await server.close().catch((error: unknown) => hooks.note?.(`close: ${String(error)}`));
}

/** Tries until it works: what a disk did once it does not do for ever. */
async function persist<T>(what: string, hooks: WorkloadHooks, run: () => Promise<T>): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await run();
    } catch (error) {
      const { reason, message } = TephraError.from(error);
      hooks.note?.(`${what}: ${message}`);
      if (attempt >= 20) throw error;
      // A start that is refused is tried again by whoever minds the service.
      const isFinal = what !== 'open' && !ERRORS[reason].retry;
      if (isFinal) hooks.complain(`${what} failed for good: ${message}`);
      await pauseMs(4);
    }
  }
}

/** Resolves after `delayMs`. */
export function pauseMs(delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, delayMs);
  });
}
