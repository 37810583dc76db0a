/**
 * One history: random operations on an engine, each answer compared with the reference. All choices
 * come from the seed; a difference is thrown with the seed and the last operations.
 */
import type { PushOutcome } from '../../src/ingest/push.ts';
import { ERRORS, isErrorLike } from '../../src/base/errors.ts';
import type { ShardedEngine } from '../../src/shards/sharded-engine.ts';
import { readDiff, readFlameGraph, readPprof } from './answers.ts';
import { LevelBackend, MemoryBackend, type Backend, type BackendOptions } from './backend.ts';
import { Dice } from './dice.ts';
import { makeMatchers, PROFILE_TYPES, PushMaker, TENANTS, type SentPush } from './generate.ts';
import { Reference, selectorText, type ModelLabels, type ModelMerge } from './reference.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
/** Real time for one operation; all of them take milliseconds. */
const STUCK_MS = 20_000;

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
        `TEPHRA_SEED=${seed} TEPHRA_HISTORIES=1 npm run model -- -t ${options.store}\n` +
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
    await soon(this.#askEverything());
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
        return this.#ask();
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

  // Questions.

  async #askDuringJobs(): Promise<void> {
    this.#advance();
    const jobs = this.#runJobs();
    const questions: Promise<void>[] = [];
    for (let i = this.#dice.whole(1, 4); i > 0; i--) {
      await this.#someTurns(6);
      questions.push(this.#ask());
    }
    const outcomes = await Promise.allSettled([jobs, ...questions]);
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  }

  async #ask(): Promise<void> {
    switch (this.#dice.weighted({ names: 34, frames: 18, diff: 14, series: 18, labels: 16 })) {
      case 'names':
        return this.#askNames(this.#merge());
      case 'frames':
        return this.#askFrames(this.#merge());
      case 'diff':
        return this.#askDiff(this.#merge(), this.#merge());
      case 'series':
        return this.#askSeries(this.#merge());
      case 'labels':
        return this.#askLabels();
    }
  }

  /** Everything of each type: with it the stack that each push has of its own. */
  async #askEverything(): Promise<void> {
    for (const tenant of TENANTS) {
      const range = { tenant, startMs: this.#nowMs - 4 * DAY_MS, endMs: this.#nowMs + DAY_MS };
      for (const profileType of PROFILE_TYPES) {
        const merge = { ...range, matchers: [], profileType };
        await this.#askNames(merge);
        if (this.#dice.chance(30)) await this.#askFrames(merge);
      }
      await this.#checkLabels({ ...range, selectors: [] }, 'all');
    }
    if (this.#long) return;
    for (const { model } of this.#sent.slice(-3)) await this.#askNames(this.#exactly(model));
  }

  #merge(): ModelMerge {
    const dice = this.#dice;
    const push = this.#someSent();
    const base = {
      tenant: push?.model.tenant ?? TENANTS[0],
      matchers: makeMatchers(dice),
      profileType: push === undefined ? dice.pick(PROFILE_TYPES) : typeOf(push, dice),
    };
    return { ...base, ...this.#range(push) };
  }

  /** Often one at the border of a minute: where off by one shows. */
  #someSent(): SentPush | undefined {
    const dice = this.#dice;
    if (this.#sent.length === 0 || dice.chance(10)) return undefined;
    if (dice.chance(60)) return dice.pick(this.#sent);
    const border = this.#sent.filter(({ model }) => (model.startMs + 1) % MINUTE_MS <= 1);
    return dice.pick(border.length > 0 ? border : this.#sent);
  }

  #exactly(push: SentPush['model']): ModelMerge {
    const { tenant, startMs } = push;
    const profileType = typeOf({ model: push }, this.#dice);
    return { tenant, matchers: [], profileType, startMs, endMs: startMs };
  }

  #range(push: SentPush | undefined): { startMs: number; endMs: number } {
    const dice = this.#dice;
    const nearMs = push?.model.startMs ?? this.#nowMs;
    const kind = dice.weighted({ all: 18, exact: 10, edges: 34, minutes: 20, hours: 18 });
    if (kind === 'all') return { startMs: this.#nowMs - 4 * DAY_MS, endMs: this.#nowMs + DAY_MS };
    if (kind === 'minutes' || this.#long) {
      const startMs = Math.floor(nearMs / MINUTE_MS) * MINUTE_MS - dice.whole(0, 3) * MINUTE_MS;
      return { startMs, endMs: startMs + dice.whole(1, 120) * MINUTE_MS - 1 };
    }
    if (kind === 'hours') {
      const startMs = Math.floor(nearMs / HOUR_MS) * HOUR_MS - dice.whole(0, 5) * HOUR_MS;
      return { startMs, endMs: startMs + dice.whole(1, 30) * HOUR_MS - 1 };
    }
    if (kind === 'exact') return { startMs: nearMs, endMs: nearMs };
    // Another push's start, one ms off or not: inclusive ends show.
    const other = this.#sent.length > 0 ? dice.pick(this.#sent).model.startMs : nearMs;
    const [a, b] = [nearMs + dice.whole(-1, 1), other + dice.whole(-1, 1)];
    return { startMs: Math.min(a, b), endMs: Math.max(a, b) };
  }

  async #askNames(merge: ModelMerge): Promise<void> {
    const expected = this.#reference.mergeNames(merge);
    const what = this.#asking('flame graph', merge);
    const { bytes, notes } = await this.#now.flameGraph(requestOf(merge));
    sameStacks(what, readFlameGraph(bytes), expected, notes);
  }

  async #askFrames(merge: ModelMerge): Promise<void> {
    const expected = this.#reference.mergeFrames(merge);
    const what = this.#asking('pprof', merge);
    const { bytes, notes } = await this.#now.pprof(requestOf(merge));
    sameStacks(what, readPprof(bytes), expected, notes);
  }

  async #askDiff(left: ModelMerge, other: ModelMerge): Promise<void> {
    const right = { ...other, tenant: left.tenant, profileType: left.profileType };
    const expectedLeft = this.#reference.mergeNames(left);
    const expectedRight = this.#reference.mergeNames(right);
    const what = `${this.#asking('diff', left)} against ${mergeText(right)}`;
    const { bytes, notes } = await this.#now.diff({
      left: requestOf(left),
      right: requestOf(right),
    });
    const answer = readDiff(bytes);
    sameStacks(`${what}, left`, answer.left, expectedLeft, notes);
    sameStacks(`${what}, right`, answer.right, expectedRight, notes);
  }

  async #askSeries(merge: ModelMerge): Promise<void> {
    const dice = this.#dice;
    const spanMs = merge.endMs - merge.startMs;
    const stepMs = Math.max(
      dice.pick([1_000, 15_000, 37_001, 60_000, 600_000, HOUR_MS]),
      Math.ceil(spanMs / 500),
    );
    const series = {
      ...merge,
      stepMs,
      groupBy: dice.pick([[], ['service_name'], ['env', 'pod'], ['thread'], ['__type__', 'env']]),
      aggregation: dice.pick(['sum', 'average'] as const),
    };
    const expected = this.#reference.series(series);
    const what = `${this.#asking('series', merge)} step ${stepMs} by ${series.groupBy.join()}`;
    const { matchers: _, ...rest } = series;
    const answers = await this.#now.selectSeries({
      ...rest,
      selector: selectorText(merge.matchers),
    });
    const actual = new Map(
      answers.map(({ labels, points }) => [
        JSON.stringify(labels),
        new Map(points.map(({ timestampMs, value }) => [timestampMs, value])),
      ]),
    );
    same(what, rows(actual), rows(expected));
  }

  async #askLabels(): Promise<void> {
    const dice = this.#dice;
    const push = this.#someSent();
    const selectors = Array.from({ length: dice.pick([0, 1, 1, 2]) }, () => makeMatchers(dice));
    const tenant = push?.model.tenant ?? TENANTS[0];
    const kind = dice.pick(['types', 'names', 'values', 'series'] as const);
    await this.#checkLabels({ tenant, selectors, ...this.#range(push) }, kind);
  }

  async #checkLabels(
    labels: ModelLabels,
    kind: 'types' | 'names' | 'values' | 'series' | 'all',
  ): Promise<void> {
    const { tenant, startMs, endMs } = labels;
    const request = { tenant, startMs, endMs, selectors: labels.selectors.map(selectorText) };
    const sets = this.#reference.labelSets(labels);
    const what = this.#asking(`labels (${kind})`, labels) + request.selectors.join(' or ');
    const name = this.#dice.pick(['service_name', 'env', 'pod', 'thread', '__type__', 'missing']);
    const group = this.#dice.pick([['service_name', '__profile_type__'], ['pod'], []]);
    if (kind === 'types' || kind === 'all') {
      const expected = sorted(sets.map((set) => set.get('__profile_type__') ?? ''));
      same(what, [...(await this.#now.profileTypes(request))], expected);
    }
    if (kind === 'names' || kind === 'all') {
      const expected = sorted(sets.flatMap((set) => [...set.keys()]));
      same(what, [...(await this.#now.labelNames(request))], expected);
    }
    if (kind === 'values' || kind === 'all') {
      const expected = sorted(
        sets.map((set) => set.get(name) ?? '').filter((value) => value !== ''),
      );
      same(`${what} of ${name}`, [...(await this.#now.labelValues(request, name))], expected);
    }
    if (kind === 'series' || kind === 'all') {
      const projected = sets.map((set) => {
        const pairs = [...set].filter(([key]) => group.length === 0 || group.includes(key));
        return pairs.filter(([, value]) => value !== '').sort(([a], [b]) => (a < b ? -1 : 1));
      });
      const expected = projected.filter((pairs) => pairs.length > 0).map((p) => JSON.stringify(p));
      const answer = (await this.#now.series(request, group)).map((set) => JSON.stringify(set));
      same(`${what} by ${group.join()}`, answer.toSorted(), sorted(expected));
    }
  }

  #asking(what: string, merge: { startMs: number; endMs: number; tenant: string }): string {
    this.counts.questions++;
    const text = `${what} ${mergeText(merge)}`;
    this.#note(text);
    return text;
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

function requestOf({ matchers, ...merge }: ModelMerge) {
  return { ...merge, selector: selectorText(matchers), maxNodes: 100_000 };
}

function typeOf({ model }: Pick<SentPush, 'model'>, dice: Dice): string {
  const { sampleTypes, periodType } = model.profile;
  const name = model.labels.find(([label]) => label === '__name__')?.[1] ?? '';
  return [name, ...dice.pick(sampleTypes), ...periodType].join(':');
}

function pushText({ tenant, labels, startMs, profile }: SentPush['model']): string {
  const own = profile.samples.map(({ frames }) => frames.at(-1)?.name ?? '');
  const series = labels.map((label) => label.join('=')).join(' ');
  const name = own.find((text) => text.startsWith('own_')) ?? '?';
  return `${name} of ${tenant} {${series}} at ${new Date(startMs).toISOString()}`;
}

function mergeText(merge: Partial<ModelMerge> & { startMs: number; endMs: number }): string {
  const selector = merge.matchers === undefined ? '' : selectorText(merge.matchers);
  return `${merge.tenant} ${selector} ${merge.profileType ?? ''} [${new Date(merge.startMs).toISOString()}, ${new Date(merge.endMs).toISOString()}]`;
}

function sorted(texts: readonly string[]): string[] {
  return [...new Set(texts)].sort();
}

function rows(series: Map<string, Map<number, number>>): string[] {
  return [...series]
    .map(([labels, points]) => `${labels} ${JSON.stringify([...points].sort(([a], [b]) => a - b))}`)
    .sort();
}

function sameStacks(
  what: string,
  actual: ReadonlyMap<string, bigint>,
  expected: ReadonlyMap<string, bigint>,
  notes: {
    readonly wholeMinutes: number;
    readonly damagedStacks: number;
    readonly saturated: boolean;
  },
): void {
  const lines = (stacks: ReadonlyMap<string, bigint>): string[] =>
    [...stacks].map(([stack, value]) => `${value} ${stack}`).sort();
  same(what, lines(actual), lines(expected));
  const inexact = notes.wholeMinutes > 0 || notes.damagedStacks > 0 || notes.saturated;
  if (inexact) differs(`${what}: notes`, notes, 'an exact answer');
}

function same(what: string, actual: readonly string[], expected: readonly string[]): void {
  const missing = expected.filter((row) => !actual.includes(row));
  const extra = actual.filter((row) => !expected.includes(row));
  if (missing.length === 0 && extra.length === 0 && actual.length === expected.length) return;
  differs(what, { missing, extra, size: actual.length }, `${expected.length} rows`);
}

function differs(what: string, actual: unknown, expected: unknown): never {
  throw new Error(`${what}\nexpected ${show(expected)}\nfound ${show(actual)}`);
}

function show(value: unknown): string {
  return JSON.stringify(
    value,
    (_, item: unknown) => (typeof item === 'bigint' ? String(item) : item),
    1,
  ).slice(0, 3_000);
}
