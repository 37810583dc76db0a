/**
 * One simulated history. Every push carries a stack of its own with the value 1, so that an answer
 * tells which pushes it counts and how often; what was acknowledged before a question, or counted by
 * an answer before it, must be in.
 */
import { ERRORS, TephraError } from '../../../src/base/errors.ts';
import type { PushItem } from '../../../src/ingest/push.ts';
import type { Limits } from '../../../src/shards/host-contract.ts';
import type { Fault, StoreOperation } from '../../../src/storage/blob-store/memory.ts';
import type { MemoryState } from '../../../src/storage/blob-store/memory-state.ts';
import { Dice } from '../../model/dice.ts';
import { encodePprof, type ModelFrame } from '../../model/profile.ts';
import { Life } from './process.ts';
import { World } from './world.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const TYPE = 'wall:wall:count:wall:count';
const SERVICES = ['shop', 'cart', 'pay'] as const;
/** Stacks that many pushes share: one whose ids are mixed up shows in their sums. */
const SHARED = 6;
/** A resend is known for as long as the raw tier is kept. */
const KNOWN_MS = 20 * HOUR_MS;

/** What a history did. */
export interface SimulationCounts {
  steps: number;
  operations: number;
  pushes: number;
  acknowledged: number;
  resends: number;
  questions: number;
  jobs: number;
  overlaps: number;
  crashes: number;
  crashesInRecovery: number;
  faults: number;
}

interface Sent {
  readonly id: number;
  readonly item: PushItem;
  readonly startMs: number;
  readonly service: string;
  readonly shared: number;
  readonly weight: number;
  readonly firstMs: number;
  acknowledged: boolean;
  /** An answer has counted it. */
  seen: boolean;
  /** Being sent right now. */
  underWay: number;
}

/** Runs the history of a seed; rejects with what went on before the first wrong answer. */
export async function simulate(seed: number): Promise<SimulationCounts> {
  const history = new Simulation(seed);
  try {
    await history.run();
  } catch (error) {
    const stack = TephraError.from(error).stack ?? '';
    const why = error instanceof TephraError ? stack : String((error as { stack?: string }).stack);
    throw new Error(`${history.trace.slice(-40).join('\n')}\n${why}`, { cause: error });
  }
  return history.counts;
}

class Simulation {
  readonly trace: string[] = [];
  readonly counts: SimulationCounts = {
    steps: 0,
    operations: 0,
    pushes: 0,
    acknowledged: 0,
    resends: 0,
    questions: 0,
    jobs: 0,
    overlaps: 0,
    crashes: 0,
    crashesInRecovery: 0,
    faults: 0,
  };
  readonly #dice: Dice;
  readonly #world: World;
  readonly #limits: Partial<Limits>;
  readonly #shardCount: number;
  readonly #faulty: number;
  readonly #overlapping: boolean;
  /** Outlives the raw tier: asks whole minutes only. */
  readonly #long: boolean;
  readonly #sent: Sent[] = [];
  #life!: Life;
  #incarnation = 0;
  #open = false;
  #failure: Error | undefined;
  #jobsUnderWay = 0;
  #questionsUnderWay = 0;
  #calm = false;
  /** Until then no write to the minutes tier works, as on a full or broken disk. Unix ms. */
  #sickUntilMs = -Infinity;

  constructor(seed: number) {
    const dice = new Dice(seed);
    this.#dice = dice;
    this.#world = new World(dice, Date.UTC(2026, 2, 14) + dice.whole(0, DAY_MS));
    this.#shardCount = dice.pick([1, 1, 2]);
    this.#faulty = dice.pick([0, 1, 5, 15]);
    this.#overlapping = dice.chance(35);
    this.#long = dice.chance(15);
    this.#limits = {
      flushLingerMs: dice.pick([0, 0, 5]),
      doubtWaitMs: dice.pick([50, 250, 2_000]),
      flushBytes: dice.pick([100, 1 << 20]),
      absorbFragments: dice.pick([1, 3, 512]),
      absorbBytes: 8 << 20,
      unrolledBlocksPerHourMax: dice.pick([1, 3, 8]),
      ...(dice.chance(25) ? { dictionaryBytes: 20_000 } : {}),
      ...(dice.chance(20) ? { headBytes: 2_000 } : {}),
      // Not by the dice: their throws stay what they were.
      ...(seed % 2 === 0 ? { segmentBytes: 400 } : {}),
    };
  }

  async run(): Promise<void> {
    this.#start(undefined);
    const actions = this.#dice.whole(20, 45);
    for (let done = 0; done < actions;) {
      this.#check();
      this.counts.steps++;
      if (this.#dice.chance(75) && (await this.#world.step(true))) continue;
      done++;
      await this.#act();
    }
    await this.#finish();
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  #note(text: string): void {
    this.trace.push(`${new Date(this.#world.nowMs).toISOString().slice(5)} ${text}`);
  }

  // The process.

  #start(state: MemoryState | undefined): void {
    this.#incarnation++;
    const incarnation = this.#incarnation;
    this.#note(`start ${incarnation}`);
    const life = new Life({
      dice: this.#dice,
      world: this.#world,
      state,
      incarnation,
      shardCount: this.#shardCount,
      limits: this.#limits,
      fate: (operation, key) => this.#fate(operation, key),
    });
    this.#life = life;
    this.#open = false;
    this.#jobsUnderWay = 0;
    this.#questionsUnderWay = 0;
    for (const sent of this.#sent) sent.underWay = 0;
    this.#background('open', life, async () => {
      try {
        await life.open();
      } catch (error) {
        if (!isInjected(error)) throw error;
        this.#note(`start failed: ${String(error)}`);
        if (this.#life === life) this.#start(life.crash());
        return;
      }
      if (this.#life === life) this.#open = true;
    });
  }

  #crash(): void {
    if (!this.#open) this.counts.crashesInRecovery++;
    this.counts.crashes++;
    this.counts.operations += this.#life.operations;
    this.#note('crash');
    this.#start(this.#life.crash());
  }

  #fate(operation: StoreOperation, key: string): Fault {
    if (this.#calm) return 'ok';
    const isWrite = operation === 'put' || operation === 'casRoot' || operation === 'remove';
    const isSick = this.#world.nowMs < this.#sickUntilMs && key.startsWith('minutes/');
    if (isSick && isWrite) return 'fail_before';
    if (!this.#dice.chance(this.#faulty)) return 'ok';
    const fault = isWrite ? this.#dice.pick(['fail_before', 'fail_after'] as const) : 'fail_before';
    this.counts.faults++;
    this.#note(`${operation} ${key}: ${fault}`);
    return fault;
  }

  /** Something goes on by itself; what it throws ends the history, unless its process is gone. */
  #background(what: string, life: Life, work: () => Promise<void>): void {
    work().catch((error: unknown) => {
      if (this.#life !== life) return;
      this.#note(`${what}: ${String(error)}`);
      this.#failure ??= asError(error);
    });
  }

  // What happens.

  async #act(): Promise<void> {
    if (!this.#open) {
      if (this.#dice.chance(8)) this.#crash();
      else await this.#world.step(false);
      return;
    }
    const action = this.#dice.weighted({
      push: 40,
      resend: 10,
      jobs: 14,
      beside: this.#overlapping ? 8 : 0,
      question: 18,
      advance: 14,
      crash: 4,
      sicken: this.#faulty > 0 ? 2 : 0,
    });
    switch (action) {
      case 'push':
        return this.#push();
      case 'resend':
        return this.#resend();
      case 'jobs':
        return this.#runJobs();
      case 'beside':
        return this.#runBeside();
      case 'question':
        return this.#ask();
      case 'advance':
        return this.#advance();
      case 'crash':
        return this.#crash();
      case 'sicken':
        this.#sickUntilMs = this.#world.nowMs + this.#dice.whole(1, this.#long ? 90 : 6) * HOUR_MS;
        return this.#note('the minutes tier is sick');
    }
  }

  async #advance(): Promise<void> {
    const dice = this.#dice;
    const kind = dice.weighted({ ms: 40, minutes: 35, hours: 22, day: this.#long ? 15 : 0 });
    const byMs = {
      ms: dice.whole(1, 200),
      minutes: dice.whole(1, 20) * MINUTE_MS,
      hours: dice.whole(50, 200) * MINUTE_MS,
      day: dice.whole(20, 40) * HOUR_MS,
    }[kind];
    const sinceMs = this.#world.nowMs - (this.#sent[0]?.firstMs ?? this.#world.nowMs);
    // Short histories stay within the time in which the raw tier tells single pushes.
    if (!this.#long && sinceMs + byMs > KNOWN_MS) return;
    await this.#world.advance(byMs);
  }

  #push(): void {
    const dice = this.#dice;
    const id = this.#sent.length;
    const service = dice.pick(SERVICES);
    const shared = dice.whole(0, SHARED - 1);
    const weight = dice.whole(1, 9);
    const { nowMs } = this.#world;
    const ago = dice.weighted({ now: 50, minute: 20, hour: 15, day: 12, future: 3 });
    const startMs =
      ago === 'future'
        ? nowMs + dice.whole(0, 9 * MINUTE_MS)
        : nowMs -
          dice.whole(0, { now: 2_000, minute: 3 * MINUTE_MS, hour: 3 * HOUR_MS, day: DAY_MS }[ago]);
    const samples = [
      { frames: [frame(`m_${id}`)], values: [1n], labels: [] },
      { frames: [frame('run'), frame(`s_${shared}`)], values: [BigInt(weight)], labels: [] },
    ];
    const item: PushItem = {
      tenant: 'anonymous',
      labels: [
        ['__name__', 'wall'],
        ['service_name', service],
        ['pod', dice.pick(['p1', 'p2'])],
      ],
      profileId: dice.chance(70)
        ? `00000000-0000-4000-8000-${String(id + 1).padStart(12, '0')}`
        : '',
      format: 'pprof',
      surface: 'push',
      payload: encodePprof({
        sampleTypes: [['wall', 'count']],
        periodType: ['wall', 'count'],
        period: 1n,
        timeNanos: BigInt(startMs) * 1_000_000n,
        samples: dice.chance(50) ? samples : samples.toReversed(),
      }),
      arrivalMs: nowMs,
    };
    const sent: Sent = {
      id,
      item,
      startMs,
      service,
      shared,
      weight,
      firstMs: nowMs,
      acknowledged: false,
      seen: false,
      underWay: 0,
    };
    this.#sent.push(sent);
    this.counts.pushes++;
    this.#send(sent);
    // The same push twice at once, as by an agent with two connections.
    if (dice.chance(8)) this.#send(sent);
  }

  #resend(): void {
    const known = this.#sent.filter(({ firstMs }) => this.#world.nowMs - firstMs < KNOWN_MS);
    if (known.length === 0) return;
    this.counts.resends++;
    const unsure = known.filter(({ acknowledged }) => !acknowledged);
    this.#send(this.#dice.pick(unsure.length > 0 && this.#dice.chance(70) ? unsure : known));
  }

  #send(sent: Sent): void {
    const life = this.#life;
    const arrivalMs = this.#world.nowMs;
    this.#note(
      `push ${sent.id} (${sent.service}, ${new Date(sent.startMs).toISOString().slice(5)})`,
    );
    sent.underWay++;
    const wasAcknowledged = sent.acknowledged;
    this.#background(`push ${sent.id}`, life, async () => {
      const outcome = await life.push({ ...sent.item, arrivalMs });
      if (this.#life !== life) return;
      sent.underWay--;
      this.#note(`push ${sent.id}: ${JSON.stringify(outcome)}`);
      if (outcome.outcome === 'refused') {
        const { reason } = outcome.error;
        if (ERRORS[reason].retry && reason !== 'internal') return;
        throw new Error(`push ${sent.id} was refused for good: ${JSON.stringify(outcome)}`);
      }
      if (wasAcknowledged && outcome.outcome !== 'duplicate') {
        throw new Error(`push ${sent.id} was acknowledged before, and is stored once more`);
      }
      if (!sent.acknowledged) this.counts.acknowledged++;
      sent.acknowledged = true;
    });
  }

  #runJobs(): void {
    if (this.#jobsUnderWay > 0) return;
    const life = this.#life;
    this.#note('jobs');
    this.counts.jobs++;
    this.#jobsUnderWay++;
    this.#background('jobs', life, async () => {
      await tolerantly(life.runJobs(), (error) => this.#note(`jobs failed: ${String(error)}`));
      if (this.#life === life) this.#jobsUnderWay--;
    });
  }

  #runBeside(): void {
    const life = this.#life;
    this.#note('jobs beside');
    this.counts.overlaps++;
    this.#background('jobs beside', life, () =>
      tolerantly(life.runJobsBeside(), (error) => this.#note(`jobs failed: ${String(error)}`)),
    );
  }

  // Questions.

  #ask(): void {
    if (this.#questionsUnderWay > 2) return;
    const dice = this.#dice;
    const near = this.#sent.length > 0 ? dice.pick(this.#sent).startMs : this.#world.nowMs;
    const kind = dice.weighted({ all: 50, minutes: 25, hours: 15, exact: this.#long ? 0 : 10 });
    let range = { startMs: near - 3 * DAY_MS, endMs: near + 3 * DAY_MS };
    if (kind === 'minutes' || kind === 'hours') {
      const unitMs = kind === 'minutes' ? MINUTE_MS : HOUR_MS;
      const startMs = Math.floor(near / unitMs) * unitMs;
      range = { startMs, endMs: startMs + dice.whole(1, 4) * unitMs - 1 };
    } else if (kind === 'exact') {
      range = { startMs: near, endMs: near };
    }
    const service = dice.chance(40) ? dice.pick(SERVICES) : undefined;
    this.#question(range, service);
  }

  #question(range: { startMs: number; endMs: number }, service: string | undefined): void {
    const life = this.#life;
    const isAsked = (sent: Sent): boolean =>
      sent.startMs >= range.startMs &&
      sent.startMs <= range.endMs &&
      (service === undefined || sent.service === service);
    const must = this.#sent.filter((sent) => (sent.acknowledged || sent.seen) && isAsked(sent));
    const selector = service === undefined ? '{}' : `{service_name="${service}"}`;
    this.#questionsUnderWay++;
    this.counts.questions++;
    const askedMs = this.#world.nowMs;
    this.#background('question', life, async () => {
      let answer: Map<string, number> | undefined;
      await tolerantly(
        life.ask({ profileType: TYPE, selector, ...range }).then((given) => {
          answer = given;
        }),
        () => {},
      );
      if (this.#life !== life) return;
      this.#questionsUnderWay--;
      // No question outlives the grace of what is removed: the port ends it long before.
      if (answer === undefined || this.#world.nowMs - askedMs > 10 * MINUTE_MS) return;
      const counted = new Set<Sent>();
      const shared = new Map<string, number>();
      for (const [name, value] of answer) {
        const id = /^m_(\d+)$/.exec(name)?.[1];
        if (id === undefined) continue;
        const sent = this.#sent[Number(id)];
        const whole = this.#sent.length > 0 && sent !== undefined;
        if (!whole || !isAsked(sent)) throw new Error(`${name} is not in ${show(range, service)}`);
        const isOnce = value === 1;
        const told = `${name} counts ${value} times in ${show(range, service)}`;
        if (!isOnce) throw new Error(told);
        counted.add(sent);
        sent.seen = true;
        shared.set(`s_${sent.shared}`, (shared.get(`s_${sent.shared}`) ?? 0) + sent.weight);
      }
      for (const sent of must) {
        if (!counted.has(sent)) {
          const why = sent.acknowledged ? 'acknowledged' : 'seen before';
          throw new Error(`m_${sent.id} (${why}) is missing in ${show(range, service)}`);
        }
      }
      for (let i = 0; i < SHARED; i++) {
        const [found, expected] = [answer.get(`s_${i}`) ?? 0, shared.get(`s_${i}`) ?? 0];
        if (found !== expected) {
          throw new Error(`s_${i}: ${found}, not ${expected}, in ${show(range, service)}`);
        }
      }
      for (const name of answer.keys()) {
        if (!/^[ms]_\d+$/.test(name)) throw new Error(`${name} was never sent`);
      }
    });
  }

  // The end.

  async #finish(): Promise<void> {
    const dice = this.#dice;
    this.#note('calm');
    this.#calm = true;
    if (dice.chance(50)) this.#crash();
    await this.#drain();
    const { nowMs } = this.#world;
    const everything = { startMs: nowMs - 12 * DAY_MS, endMs: nowMs + DAY_MS };
    const asks = async (): Promise<void> => {
      this.#question(everything, undefined);
      await this.#drain();
    };
    await asks();
    for (const sent of this.#sent) {
      if (sent.acknowledged || nowMs - sent.firstMs >= KNOWN_MS) continue;
      this.#send(sent);
      await this.#drain();
      if (!sent.acknowledged) throw new Error(`push ${sent.id} cannot be acknowledged any more`);
    }
    await asks();
    for (let i = dice.whole(0, 2); i > 0; i--) {
      await this.#world.advance(dice.whole(5, 90) * MINUTE_MS);
      this.#runJobs();
      await this.#drain();
      if (dice.chance(40)) {
        this.#crash();
        await this.#drain();
      }
    }
    await asks();
    this.#question({ startMs: nowMs - HOUR_MS, endMs: nowMs }, dice.pick(SERVICES));
    await this.#drain();
    this.counts.operations += this.#life.operations;
  }

  /** Lets everything come to its end. */
  async #drain(): Promise<void> {
    for (let steps = 0; steps < 50_000; steps++) {
      this.#check();
      if (await this.#world.step(false)) continue;
      if (await this.#world.nextTimer(10_000)) continue;
      return;
    }
    throw new Error('the history does not come to its end');
  }
}

/** Waits; errors that an injected fault explains are no failure. */
async function tolerantly(work: Promise<void>, told: (error: unknown) => void): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!isInjected(error)) throw error;
    told(error);
  }
}

/** The failure of a history, whatever was thrown. */
function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown), { cause: thrown });
}

function isInjected(error: unknown): boolean {
  const { reason } = TephraError.from(error);
  return reason !== 'internal' && ERRORS[reason].retry;
}

function show(range: { startMs: number; endMs: number }, service: string | undefined): string {
  const text = (ms: number): string => new Date(ms).toISOString().slice(5);
  return `[${text(range.startMs)}, ${text(range.endMs)}] of ${service ?? 'all'}`;
}

function frame(name: string): ModelFrame {
  return {
    name,
    systemName: name,
    file: 'a.go',
    startLine: 1,
    line: 2,
    mappingFile: '/bin/a',
    buildId: 'b1',
    address: 0,
    inlined: false,
  };
}
