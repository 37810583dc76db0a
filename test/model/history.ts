/**
 * One history: random operations on an engine, each answer compared with the reference. All choices
 * come from the seed; a difference is thrown with the seed and the last operations.
 */
import type { PushOutcome } from '../../src/ingest/push.ts';
import { ERRORS, isErrorLike } from '../../src/base/errors.ts';
import type { ShardedEngine } from '../../src/shards/sharded-engine.ts';
import { LevelBackend, MemoryBackend, type Backend, type BackendOptions } from './backend.ts';
import { Dice } from './dice.ts';
import { differs } from './difference.ts';
import { PushMaker, TENANTS, type SentPush } from './generate.ts';
import { Questions } from './questions.ts';
import { Reference } from './reference.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** Real time for one operation; all of them take milliseconds. */
const STUCK_MS = 60_000;

/** What a history is run with. */
export interface HistoryOptions {
  readonly store: 'memory' | 'level';
  readonly workers: number;
  readonly workerEntry?: URL;
}

/** What a history did, for the summary. */
export interface HistoryCounts {
  operations: number;
  pushes: number;
  duplicates: number;
  resends: number;
  questions: number;
  jobs: number;
  crashes: number;
  faults: number;
}

/** Runs the history of a seed. Throws with the seed where the engine and the reference differ. */
export async function runHistory(seed: number, options: HistoryOptions): Promise<HistoryCounts> {
  const history = new History(seed, options);
  try {
    await history.run();
  } catch (error) {
    throw new Error(
      `history ${seed} (${options.store}, ${options.workers} workers) differs; replay: ` +
        `TEPHRA_SEED=${seed} TEPHRA_HISTORIES=1 npm run model -- -t ${options.workers > 0 ? 'threads' : options.store}\n` +
        `${history.trace.slice(-12).join('\n')}\n${describe(error)}`,
      { cause: error },
    );
  } finally {
    await history.end();
  }
  return history.counts;
}

function describe(error: unknown): string {
  return isErrorLike(error) && 'stack' in error && typeof error.stack === 'string'
    ? error.stack
    : String(error);
}

class History {
  readonly trace: string[] = [];
  readonly counts: HistoryCounts = {
    operations: 0,
    pushes: 0,
    duplicates: 0,
    resends: 0,
    questions: 0,
    jobs: 0,
    crashes: 0,
    faults: 0,
  };
  readonly #dice: Dice;
  readonly #maker: PushMaker;
  readonly #reference = new Reference();
  readonly #backend: Backend;
  readonly #sent: SentPush[] = [];
  /** A history that outlives the raw retention asks whole minutes only. */
  readonly #long: boolean;
  readonly #questions: Questions;
  readonly #threads: boolean;
  #engine: ShardedEngine | undefined;
  #nowMs: number;
  #leftMs: number;

  constructor(seed: number, options: HistoryOptions) {
    const dice = new Dice(seed);
    this.#dice = dice;
    this.#maker = new PushMaker(dice);
    this.#long = dice.chance(10);
    this.#threads = options.workers > 0;
    this.#questions = new Questions(dice, {
      reference: this.#reference,
      sent: this.#sent,
      wholeMinutes: this.#long,
      engine: () => this.#now,
      nowMs: () => this.#nowMs,
      note: (question) => {
        this.counts.questions++;
        this.#note(question);
      },
    });
    this.#nowMs =
      Date.UTC(2026, 2, 14) + dice.whole(0, 20 * 60) * MINUTE_MS + dice.whole(0, 59_999);
    this.#leftMs = (this.#long ? 44 : 22) * HOUR_MS;
    let monotonicMs = 0;
    const backend: BackendOptions = {
      dice,
      clock: {
        nowMs: () => this.#nowMs,
        // Some work takes long enough to yield in between.
        monotonicMs: () => (monotonicMs += dice.chance(5) ? 3 : 0),
      },
      shardCount: dice.pick([1, 2, 4]),
      limits: {
        flushLingerMs: dice.pick([0, 1]),
        absorbFragments: dice.pick([1, 3, 512]),
        absorbBytes: dice.pick([1_000, 8 << 20]),
        unrolledBlocksPerHourMax: dice.pick([1, 3, 8]),
        // Room for a few scopes only: dictionaries come and go.
        ...(dice.chance(20) ? { dictionaryBytes: 20_000 } : {}),
        ...(dice.chance(20) ? { headBytes: 4_000 } : {}),
        // Not by the dice: their throws stay what they were.
        ...(seed % 2 === 0 ? { segmentBytes: 400 } : {}),
      },
      workers: options.workers,
      workerEntry: options.workerEntry,
    };
    this.#backend =
      options.store === 'memory' ? new MemoryBackend(backend) : new LevelBackend(backend);
  }

  async run(): Promise<void> {
    this.#engine = await this.#backend.open();
    const operations = this.#dice.whole(60, 80);
    for (let i = 0; i < operations; i++) await soon(this.#operation());
    if (this.#dice.chance(30)) await this.#reopen();
    await soon(this.#settle());
    await soon(this.#questions.askEverything());
  }

  async end(): Promise<void> {
    if (this.#engine !== undefined) await this.#backend.crash(this.#engine);
    await this.#backend.close();
  }

  get #now(): ShardedEngine {
    return this.#engine as ShardedEngine;
  }

  #note(text: string): void {
    this.trace.push(`${new Date(this.#nowMs).toISOString()} ${text}`);
  }

  async #operation(): Promise<void> {
    this.counts.operations++;
    const operation = this.#dice.weighted({
      push: 40,
      duplicate: 6,
      jobs: 10,
      advance: 6,
      question: 24,
      fault: this.#backend.injects ? 4 : 0,
      crash: 3,
      reopen: 1,
      questionsDuringJobs: 3,
      pushesDuringJobs: 6,
    });
    switch (operation) {
      case 'push':
        return this.#pushSome();
      case 'duplicate':
        return this.#pushAgain();
      case 'jobs':
        this.#advance();
        return this.#runJobs();
      case 'advance':
        this.#advance();
        return;
      case 'question':
        return this.#questions.ask();
      case 'fault':
        return this.#armFault();
      case 'crash':
        return this.#crashAmidst();
      case 'reopen':
        return this.#reopen();
      case 'questionsDuringJobs':
        return this.#askDuringJobs();
      case 'pushesDuringJobs':
        return this.#pushDuringJobs();
    }
  }

  #advance(): void {
    const dice = this.#dice;
    const kind = dice.weighted({ seconds: 20, minutes: 40, border: 12, hours: 23, many: 5 });
    const byMs =
      kind === 'seconds'
        ? dice.whole(0, 59_999)
        : kind === 'minutes'
          ? dice.whole(1, 20) * MINUTE_MS
          : kind === 'border'
            ? // Just past an hour: what arrived before belongs to another, and every sixth to another volume.
              HOUR_MS - (this.#nowMs % HOUR_MS) + dice.whole(0, 2_000)
            : kind === 'hours'
              ? dice.whole(30, 150) * MINUTE_MS
              : dice.whole(3, 8) * HOUR_MS;
    const forwardMs = Math.min(byMs, this.#leftMs);
    this.#leftMs -= forwardMs;
    this.#nowMs += forwardMs;
  }

  // Pushes.

  async #pushSome(): Promise<void> {
    const dice = this.#dice;
    const pushes: SentPush[] = [];
    const count = Number(dice.weighted({ 1: 70, 2: 20, 4: 10 }));
    while (pushes.length < count) {
      pushes.push(this.#maker.make(dice.chance(85) ? TENANTS[0] : TENANTS[1], this.#nowMs));
    }
    // The same push twice in one request, or in two at once.
    const last = pushes.at(-1);
    if (last?.hasIdentity === true && dice.chance(10)) pushes.push(last);
    await this.#send(pushes, dice.chance(50));
  }

  async #pushAgain(): Promise<void> {
    const candidates = this.#sent.filter(
      ({ hasIdentity, knownUntilMs }) => hasIdentity && this.#nowMs <= knownUntilMs,
    );
    if (candidates.length === 0) return;
    const again = this.#dice.pick(candidates);
    if (this.#dice.chance(15)) {
      // The same id with other bytes is another push.
      const other = this.#maker.make(again.item.tenant, this.#nowMs);
      const item = { ...other.item, profileId: again.item.profileId };
      const hasIdentity = other.hasIdentity && other.knownUntilMs - this.#nowMs > HOUR_MS;
      return this.#send([{ ...other, item, hasIdentity }], true);
    }
    this.#note(`duplicate of ${again.item.arrivalMs}`);
    this.counts.duplicates++;
    const [outcome] = await this.#now.push([{ ...again.item, arrivalMs: this.#nowMs }]);
    if (outcome?.outcome !== 'duplicate') {
      differs('outcome of a push sent again', outcome, 'duplicate');
    }
  }

  /** Sends until everything is acknowledged, then tells the reference. */
  async #send(pushes: readonly SentPush[], together: boolean): Promise<void> {
    this.#note(`push ${pushes.map(({ model }) => pushText(model)).join(', ')}`);
    const items = pushes.map(({ item }) => item);
    const first = together
      ? await this.#now.push(items)
      : (await Promise.all(items.map((item) => this.#now.push([item])))).flat();
    await this.#acknowledge(pushes, first);
  }

  async #acknowledge(pushes: readonly SentPush[], first: readonly PushOutcome[]): Promise<void> {
    if (first.length !== pushes.length) differs('outcomes', first.length, pushes.length);
    const stored = new Set<SentPush>();
    for (const [i, push] of pushes.entries()) {
      let outcome = first[i] as PushOutcome;
      for (let attempt = 0; outcome.outcome === 'refused'; attempt++) {
        const { reason, detail } = outcome.error;
        const retry = ERRORS[reason].retry && reason !== 'internal' && push.hasIdentity;
        if (!retry || attempt > 5) throw new Error(`refused for good: ${reason}: ${detail}`);
        this.#note(`resend after ${reason}: ${detail}`);
        this.counts.resends++;
        outcome = (await this.#now.push([push.item]))[0] as PushOutcome;
        // It may have been stored the first time.
        if (outcome.outcome === 'duplicate') outcome = { outcome: 'stored', entries: 0 };
      }
      const expected = stored.has(push) ? 'duplicate' : 'stored';
      if (outcome.outcome !== expected && !(stored.has(push) && first[i]?.outcome === 'refused')) {
        differs(`outcome of push ${i}`, outcome, expected);
      }
      stored.add(push);
    }
    for (const push of stored) {
      this.counts.pushes++;
      this.#reference.add(push.model);
      this.#sent.push(push);
    }
  }

  // Jobs, faults and crashes.

  async #runJobs(): Promise<void> {
    this.#note('jobs');
    this.counts.jobs++;
    const faulty = this.#backend.armed.length > 0;
    try {
      await this.#now.runJobs(this.#nowMs);
    } catch (error) {
      if (!faulty) throw error;
      this.#note(`jobs failed: ${String(error)}`);
    }
  }

  async #pushDuringJobs(): Promise<void> {
    const dice = this.#dice;
    if (dice.chance(60)) this.#advance();
    const jobs = this.#runJobs();
    const pushes: Promise<void>[] = [];
    for (let i = dice.whole(1, 4); i > 0; i--) {
      await this.#someTurns(6);
      pushes.push(this.#pushSome());
    }
    for (const outcome of await Promise.allSettled([jobs, ...pushes])) {
      if (outcome.status === 'rejected') throw outcome.reason;
    }
    // What the jobs left behind in memory must not matter.
    if (dice.chance(40)) await this.#crashAmidst();
  }

  /** Lets what is under way get somewhere. */
  async #someTurns(most: number): Promise<void> {
    for (let turns = this.#dice.whole(0, most); turns > 0; turns--) {
      await (this.#dice.chance(50)
        ? Promise.resolve()
        : new Promise((resolve) => setImmediate(resolve)));
    }
  }

  async #armFault(): Promise<void> {
    const dice = this.#dice;
    this.counts.faults++;
    const where = dice.weighted({ fragment: 50, block: 20, root: 30 });
    const fault = dice.pick(['fail_before', 'fail_after'] as const);
    this.#note(`next ${where}: ${fault}`);
    if (where === 'fragment') {
      this.#backend.armed.push({ operation: 'put', keyPrefix: 'raw/', fault });
      // Only what has an identity may be sent again; the next push has one.
      await this.#sendWithIdentity();
      return;
    }
    this.#backend.armed.push(
      where === 'block'
        ? { operation: 'put', keyPrefix: 'minutes/', fault }
        : { operation: 'casRoot', keyPrefix: '', fault },
    );
    await this.#runJobs();
    this.#backend.armed.length = 0;
  }

  async #sendWithIdentity(): Promise<void> {
    const pushes: SentPush[] = [];
    while (pushes.length < 2) {
      const push = this.#maker.make(TENANTS[0], this.#nowMs);
      if (push.hasIdentity) pushes.push(push);
    }
    await this.#send(pushes, this.#dice.chance(50));
    this.#backend.armed.length = 0;
  }

  async #crashAmidst(): Promise<void> {
    const dice = this.#dice;
    this.counts.crashes++;
    // Pushes and jobs are under way; nobody waits for them.
    const pushes: SentPush[] = [];
    for (let i = dice.whole(0, 2); i > 0; i--) {
      const push = this.#maker.make(TENANTS[0], this.#nowMs);
      if (push.hasIdentity) pushes.push(push);
    }
    this.#note(`crash during ${pushes.map(({ model }) => pushText(model)).join(', ')}`);
    for (const { item } of pushes) void this.#now.push([item]).catch(() => {});
    if (dice.chance(50)) void this.#now.runJobs(this.#nowMs).catch(() => {});
    await this.#someTurns(this.#threads ? 40 : 12);
    await this.#backend.crash(this.#now);
    this.#engine = undefined;
    this.#engine = await this.#backend.open();
    // The client had no answer: it sends again. Stored or duplicate, both are acknowledged.
    for (const push of pushes) {
      const [outcome] = await this.#now.push([push.item]);
      if (outcome?.outcome === 'refused') differs('outcome after a crash', outcome, 'acknowledged');
      this.counts.pushes++;
      this.#reference.add(push.model);
      this.#sent.push(push);
    }
  }

  async #reopen(): Promise<void> {
    this.#note('stop and open');
    await this.#backend.stop(this.#now);
    this.#engine = undefined;
    this.#engine = await this.#backend.open();
  }

  /** Lets the jobs catch up. */
  async #settle(): Promise<void> {
    for (let i = this.#dice.whole(0, 3); i > 0; i--) {
      this.#advance();
      await this.#runJobs();
    }
  }

  async #askDuringJobs(): Promise<void> {
    this.#advance();
    const jobs = this.#runJobs();
    const questions: Promise<void>[] = [];
    for (let i = this.#dice.whole(1, 4); i > 0; i--) {
      await this.#someTurns(6);
      questions.push(this.#questions.ask());
    }
    const outcomes = await Promise.allSettled([jobs, ...questions]);
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  }
}

/** A promise that nobody settles is a finding like any other. */
async function soon<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const stuck = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`nothing came within ${STUCK_MS} ms`)), STUCK_MS);
  });
  try {
    return await Promise.race([work, stuck]);
  } finally {
    clearTimeout(timer);
  }
}

function pushText({ tenant, labels, startMs, profile }: SentPush['model']): string {
  const own = profile.samples.map(({ frames }) => frames.at(-1)?.name ?? '');
  const series = labels.map((label) => label.join('=')).join(' ');
  const name = own.find((text) => text.startsWith('own_')) ?? '?';
  return `${name} of ${tenant} {${series}} at ${new Date(startMs).toISOString()}`;
}
