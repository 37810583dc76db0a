/**
 * One history of streams: agents that send batches, lose calls, begin epochs, give up and come back, over
 * an engine that crashes, forgets tables and has puts that fail. Each batch carries names that no other
 * has, so that the answers tell exactly which batches are stored, and how often.
 */
import { isErrorLike } from '../../../src/base/errors.ts';
import type { Label } from '../../../src/profile/labels.ts';
import type { StreamBundle, StreamReport } from '../../../src/ingest/stream/messages.ts';
import type { ShardedEngine } from '../../../src/shards/sharded-engine.ts';
import { TestEncoder, type TestPart } from '../../support/stream-agent.ts';
import { readFlameGraph } from '../answers.ts';
import { LevelBackend, MemoryBackend, type Backend } from '../backend.ts';
import { Dice } from '../dice.ts';

const HOUR_MS = 3_600_000;
const STUCK_MS = 60_000;
const TYPES = [
  'process_cpu:samples:count:cpu:nanoseconds',
  'process_cpu:cpu:nanoseconds:cpu:nanoseconds',
] as const;
const PERIOD = 10_000_000n;
const TENANT = 'anonymous';

/** What a history did, for the summary. */
export interface StreamCounts {
  operations: number;
  batches: number;
  resent: number;
  refused: number;
  opened: number;
  epochs: number;
  crashes: number;
  faults: number;
}

/** What the agent knows of a batch. */
interface Batch {
  readonly sequence: number;
  readonly parts: readonly TestPart[];
  /** By leaf: what is in it. */
  readonly values: ReadonlyMap<string, number>;
  readonly isWrong: boolean;
  state: 'sent' | 'settled' | 'refused' | 'givenUp';
}

/** Runs the history of a seed. Throws with the seed where the engine and the reference differ. */
export async function runStreamHistory(
  seed: number,
  store: 'memory' | 'level',
): Promise<StreamCounts> {
  const history = new StreamHistory(seed, store);
  try {
    await history.run();
  } catch (error) {
    const text = isErrorLike(error) && 'stack' in error ? String(error.stack) : String(error);
    throw new Error(
      `history ${seed} (streams, ${store}) differs; replay: TEPHRA_SEED=${seed} TEPHRA_HISTORIES=1 ` +
        `npm run model -- test/model/stream -t ${store}\n${history.trace.slice(-30).join('\n')}\n${text}`,
      { cause: error },
    );
  } finally {
    await history.end();
  }
  return history.counts;
}

class StreamHistory {
  readonly trace: string[] = [];
  readonly counts: StreamCounts = {
    operations: 0,
    batches: 0,
    resent: 0,
    refused: 0,
    opened: 0,
    epochs: 0,
    crashes: 0,
    faults: 0,
  };
  readonly #dice: Dice;
  readonly #backend: Backend;
  readonly #agents: Agent[];
  #engine: ShardedEngine | undefined;
  #nowMs: number;
  #lastCall = 0;
  /** What the engine was given and may not have answered. */
  #taking: Promise<unknown>[] = [];

  constructor(seed: number, store: 'memory' | 'level') {
    const dice = new Dice(seed);
    this.#dice = dice;
    this.#nowMs = Date.UTC(2026, 2, 14) + dice.whole(0, 24 * 60 - 1) * 60_000;
    let monotonicMs = 0;
    const options = {
      dice,
      clock: {
        nowMs: () => this.#nowMs,
        monotonicMs: () => (monotonicMs += dice.chance(5) ? 3 : 0),
      },
      shardCount: dice.pick([1, 2]),
      workers: 0,
      limits: {
        flushLingerMs: dice.pick([0, 1]),
        flushBytes: dice.pick([200, 1 << 20]),
        absorbFragments: dice.pick([1, 3, 512]),
        streamStateBytes: dice.pick([1, 6_000, 1 << 27]),
        streamStacksMax: dice.pick([12, 60, 262_144]),
        streamsKnownMax: dice.pick([6, 1_000]),
        streamIdleMs: dice.pick([1, HOUR_MS]),
      },
    };
    this.#backend = store === 'memory' ? new MemoryBackend(options) : new LevelBackend(options);
    const services = dice.pick([['a'], ['a', 'b']]);
    this.#agents = Array.from(
      { length: dice.whole(1, 3) },
      (_, i) => new Agent(i, dice.pick(services), dice, this),
    );
  }

  get engine(): ShardedEngine {
    if (this.#engine === undefined) throw new Error('no engine');
    return this.#engine;
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  take(shard: number, bundle: StreamBundle): Promise<readonly StreamReport[]> {
    const taking = this.engine.takeStream(shard, bundle).then(({ reports }) => reports);
    this.#taking.push(taking);
    return taking;
  }

  nextCall(): number {
    return ++this.#lastCall;
  }

  note(text: string): void {
    this.trace.push(text);
  }

  async run(): Promise<void> {
    this.#engine = await this.#backend.open();
    const operations = this.#dice.whole(15, 30);
    for (let i = 0; i < operations; i++) {
      this.counts.operations++;
      await unlessStuck(this.#operation());
      if (this.#dice.chance(8)) await unlessStuck(this.#compare());
    }
    this.#backend.armed.length = 0;
    this.note('in the end all agents send what is left');
    for (const agent of this.#agents) await unlessStuck(agent.finish());
    await unlessStuck(this.#compare());
    await unlessStuck(this.#crash());
    await unlessStuck(this.#compare());
  }

  async end(): Promise<void> {
    if (this.#engine !== undefined) await this.#backend.stop(this.#engine).catch(() => {});
    await this.#backend.close();
  }

  async #operation(): Promise<void> {
    const agent = this.#dice.pick(this.#agents);
    const what = this.#dice.weighted({
      send: 40,
      open: 15,
      together: 10,
      epoch: 5,
      repeat: 5,
      fault: 8,
      crash: 7,
      jobs: 10,
      wait: 5,
    });
    switch (what) {
      case 'send':
        await agent.send();
        break;
      case 'open':
        await agent.open();
        break;
      case 'together':
        // Several at once, and nobody waits: what is on its way meets what comes next.
        await Promise.all(this.#agents.map((one) => one.send()));
        break;
      case 'epoch':
        agent.beginEpoch();
        break;
      case 'repeat':
        await agent.repeat();
        break;
      case 'fault':
        this.#arm();
        await agent.send();
        break;
      case 'crash':
        await this.#crash();
        break;
      case 'jobs':
        this.#nowMs += this.#dice.pick([1_000, 600_000, 2 * HOUR_MS]);
        this.note(`jobs at ${new Date(this.#nowMs).toISOString()}`);
        await this.engine.runJobs(this.#nowMs);
        break;
      case 'wait':
        await agent.wait();
        break;
    }
  }

  #arm(): void {
    if (!this.#backend.injects) return;
    const fault = this.#dice.pick(['fail_before', 'fail_after'] as const);
    this.note(`next put: ${fault}`);
    this.counts.faults++;
    this.#backend.armed.push({ operation: 'put', keyPrefix: 'raw/', fault });
  }

  async #crash(): Promise<void> {
    this.counts.crashes++;
    this.note('crash');
    for (const agent of this.#agents) agent.lose();
    // Of an engine that is gone there will be no answer.
    this.#taking = [];
    this.#backend.armed.length = 0;
    await this.#backend.crash(this.engine);
    this.#nowMs += 1_000;
    this.#engine = await this.#backend.open();
  }

  async #compare(): Promise<void> {
    // Two questions: nothing may come in between.
    while (this.#taking.length > 0) await Promise.allSettled(this.#taking.splice(0));
    let found = await this.#stored();
    // A put whose outcome was not known may have come to light between the two questions.
    for (let tries = 0; tries < 50 && found === undefined; tries++) {
      await new Promise((resolve) => setImmediate(resolve));
      found = await this.#stored();
    }
    if (found === undefined) throw new Error('samples and their cpu differ');
    for (const agent of this.#agents) agent.compare(found);
    for (const leaf of found.keys()) throw new Error(`nobody sent ${leaf}`);
  }

  /** Samples by leaf; undefined if the second type says otherwise. */
  async #stored(): Promise<Map<string, bigint> | undefined> {
    const [samples, cpu] = [await this.#merged(TYPES[0]), await this.#merged(TYPES[1])];
    const leaves = new Set([...samples.keys(), ...cpu.keys()]);
    for (const leaf of leaves) {
      if ((samples.get(leaf) ?? 0n) * PERIOD !== (cpu.get(leaf) ?? 0n)) return undefined;
    }
    return samples;
  }

  async #merged(profileType: string): Promise<Map<string, bigint>> {
    const { bytes } = await this.engine.flameGraph({
      tenant: TENANT,
      profileType,
      selector: '{}',
      startMs: this.#nowMs - 5 * 24 * HOUR_MS,
      endMs: this.#nowMs + HOUR_MS,
      maxNodes: 0,
    });
    const found = new Map<string, bigint>();
    for (const [stack, value] of readFlameGraph(bytes)) {
      found.set((JSON.parse(stack) as string[]).at(-1) ?? '', value);
    }
    return found;
  }
}

/** An agent as docs/protocol/stream.md says, and its bad luck. */
class Agent {
  readonly #number: number;
  readonly #labels: readonly Label[];
  readonly #instance: Uint8Array;
  readonly #dice: Dice;
  readonly #history: StreamHistory;
  readonly #batches: Batch[] = [];
  #settled = 0;
  #epoch = 0;
  #encoder: TestEncoder | undefined;
  #call: number | undefined;
  #shard = 0;
  /** Reports that did not come yet. */
  #waiting: Promise<void>[] = [];

  constructor(number: number, service: string, dice: Dice, history: StreamHistory) {
    this.#number = number;
    this.#labels = [['service_name', service]];
    this.#instance = dice.random.bytes(16);
    this.#dice = dice;
    this.#history = history;
  }

  /** Sends some new batches; some get lost on the way, and nothing behind them arrives. */
  async send(): Promise<void> {
    if (this.#call === undefined) await this.open();
    if (this.#call === undefined) return;
    const count = this.#dice.whole(1, 4);
    const messages: Uint8Array[] = [];
    for (let i = 0; i < count; i++) {
      const batch = this.#make();
      this.#batches.push(batch);
      this.#history.counts.batches++;
      messages.push(this.#encode(batch));
    }
    const arrived = this.#dice.chance(15) ? this.#dice.whole(0, count - 1) : count;
    this.#note(
      `sends ${this.#batches.length - count + 1} to ${this.#batches.length}, ${arrived} arrive`,
    );
    this.#deliver(messages.slice(0, arrived));
    if (arrived < count) this.lose();
    else if (this.#dice.chance(60)) await this.wait();
  }

  /** Opens a call, and sends again what is not settled. */
  async open(): Promise<void> {
    const old = this.#call;
    if (this.#call !== undefined && this.#dice.chance(50)) {
      await this.#history.engine.closeStream(this.#shard, this.#call);
    }
    this.lose();
    if (this.#dice.chance(4)) this.#giveUp();
    const call = this.#history.nextCall();
    const { engine } = this.#history;
    this.#shard = engine.streamShard(TENANT, this.#labels);
    const first = this.#firstSequence();
    const last = this.#batches.length;
    const opening = engine.openStream(this.#shard, {
      call,
      tenant: TENANT,
      labels: this.#labels,
      instance: this.#instance,
      firstSequence: first,
      lastSequence: last,
      epoch: this.#epoch,
    });
    // What the old call still has on the way arrives late.
    const late = this.#batches.find(({ state }) => state === 'sent');
    if (old !== undefined && late !== undefined && this.#dice.chance(30)) {
      const bytes = new TestEncoder(this.#epoch + 1).batch(late.sequence, late.parts);
      await this.#take(old, [bytes]).catch(() => {});
    }
    let opened;
    try {
      opened = await opening;
    } catch (error) {
      this.#note(`cannot open: ${String(error)}`);
      return;
    }
    this.#history.counts.opened++;
    this.#note(
      `opens call ${call} with ${first} to ${last}, epoch ${this.#epoch}: settled ${opened.settled}, epoch ${opened.epoch}`,
    );
    if (opened.settled < first - 1 || opened.settled > last) {
      throw new Error(`settled ${opened.settled} is not within ${first - 1} and ${last}`);
    }
    this.#call = call;
    this.#settle(opened.settled);
    if (opened.epoch === 0) this.beginEpoch();
    else this.#encoder?.resume(opened.rows);
    this.#resend();
    if (this.#dice.chance(60)) await this.wait();
  }

  /** The next batch begins an epoch. */
  beginEpoch(): void {
    this.#history.counts.epochs++;
    this.#encoder = new TestEncoder(++this.#epoch);
  }

  /** Sends a batch again that is on its way or settled. */
  async repeat(): Promise<void> {
    const batch = this.#batches.findLast(({ state }) => state !== 'givenUp');
    if (batch === undefined || this.#call === undefined || this.#encoder === undefined) return;
    if (this.#batches.at(-1) !== batch) return;
    this.#note(`repeats ${batch.sequence}`);
    this.#deliver([this.#encode(batch)]);
    await this.wait();
  }

  /** Waits for all reports. */
  async wait(): Promise<void> {
    while (this.#waiting.length > 0) await Promise.all(this.#waiting.splice(0));
  }

  /** The call is gone; reports that come now are not heard. */
  lose(): void {
    this.#call = undefined;
    this.#waiting = [];
  }

  /** Until everything is settled. */
  async finish(): Promise<void> {
    for (let tries = 0; tries < 20; tries++) {
      if (this.#firstSequence() > this.#batches.length) return;
      await this.open();
      await this.wait();
    }
    throw new Error(`agent ${this.#number}: ${this.#firstSequence()} does not settle`);
  }

  /** Takes what it knows out of what was found. */
  compare(found: Map<string, bigint>): void {
    for (const batch of this.#batches) {
      let present = 0;
      for (const [leaf, value] of batch.values) {
        const stored = found.get(leaf) ?? 0n;
        found.delete(leaf);
        if (stored !== 0n && stored !== BigInt(value)) {
          throw new Error(`${leaf}: stored ${stored}, sent ${value}`);
        }
        if (stored !== 0n) present++;
      }
      const where = `agent ${this.#number}, batch ${batch.sequence} (${batch.state})`;
      if (present !== 0 && present !== batch.values.size) throw new Error(`${where}: a part of it`);
      if (batch.state === 'settled' && present < batch.values.size && !batch.isWrong) {
        throw new Error(`${where}: lost`);
      }
      if (batch.isWrong && present > 0) throw new Error(`${where}: stored though wrong`);
    }
  }

  #firstSequence(): number {
    const first = this.#batches.find(({ state }) => state === 'sent');
    return first?.sequence ?? this.#batches.length + 1;
  }

  #giveUp(): void {
    const batch = this.#batches.find(({ state }) => state === 'sent');
    if (batch === undefined) return;
    batch.state = 'givenUp';
    this.#settled = batch.sequence;
    this.#note(`gives up ${batch.sequence}`);
  }

  #make(): Batch {
    const dice = this.#dice;
    const sequence = this.#batches.length + 1;
    const isWrong = dice.chance(6);
    const values = new Map<string, number>();
    const parts: TestPart[] = [];
    const count = dice.weighted({ '0': 1, '1': 8, '2': 3 });
    for (let p = 0; p < Number(count); p++) {
      const samples = Array.from({ length: dice.whole(1, 3) }, (_, i) => {
        const leaf = `agent ${this.#number} batch ${sequence}.${p}.${i}`;
        const value = dice.whole(1, 1_000);
        values.set(leaf, value);
        return { stack: `main;f${dice.whole(0, 3)};${leaf}`, values: [value] };
      });
      parts.push({
        types: TYPES,
        periods: [0n, PERIOD],
        typeColumn: [0, 0],
        typeScale: [1n, PERIOD],
        startMs: this.#history.nowMs - dice.pick([0, 1_000, 3 * HOUR_MS, 30 * HOUR_MS]),
        labels: dice.chance(30) ? [['pod', `p${dice.whole(0, 2)}`]] : [],
        sampleLabels: dice.chance(20) ? [['route', `r${dice.whole(0, 2)}`]] : [],
        samples: dice.chance(30)
          ? [...samples, ...samples.map((one) => ({ ...one, values: [0] }))]
          : samples,
      });
    }
    if (isWrong && parts.length > 0) {
      parts.push({ ...(parts[0] as TestPart), startMs: this.#history.nowMs - 100 * 24 * HOUR_MS });
    }
    return { sequence, parts, values, isWrong: isWrong && parts.length > 0, state: 'sent' };
  }

  #encode(batch: Batch): Uint8Array {
    if (this.#encoder === undefined) this.beginEpoch();
    return (this.#encoder as TestEncoder).batch(batch.sequence, batch.parts);
  }

  #resend(): void {
    const messages = this.#batches
      .filter(({ sequence, state }) => state === 'sent' && sequence > this.#settled)
      .map((batch) => {
        this.#history.counts.resent++;
        return this.#encode(batch);
      });
    this.#deliver(messages);
  }

  #deliver(messages: readonly Uint8Array[]): void {
    const call = this.#call;
    if (messages.length === 0 || call === undefined) return;
    // In one bundle, or in several.
    const cut = this.#dice.whole(0, messages.length);
    for (const bundle of [messages.slice(0, cut), messages.slice(cut)]) {
      if (bundle.length === 0) continue;
      const heard = this.#take(call, bundle).then(
        (reports) => {
          for (const report of reports) if (this.#call === call) this.#hear(report);
        },
        (error: unknown) => {
          if (this.#call !== call) return;
          this.#note(`the call ends: ${String(error)}`);
          this.lose();
        },
      );
      this.#waiting.push(heard);
    }
  }

  #take(call: number, messages: readonly Uint8Array[]): Promise<readonly StreamReport[]> {
    let at = 0;
    const ends = Uint32Array.from(messages, ({ byteLength }) => (at += byteLength));
    return this.#history.take(this.#shard, {
      calls: messages.map(() => call),
      ends,
      bytes: new Uint8Array(Buffer.concat(messages)),
      arrivalMs: this.#history.nowMs,
    });
  }

  #hear(report: StreamReport): void {
    for (const { sequence, error, field } of report.refused) {
      const batch = this.#batches[sequence - 1];
      if (batch?.isWrong !== true) throw new Error(`refused ${sequence}: ${field} ${error.detail}`);
      batch.state = 'refused';
      this.#history.counts.refused++;
    }
    this.#settle(report.settled);
    if (report.failed !== undefined) {
      this.#note(`the call fails: ${report.failed.detail}`);
      if (!RETRIED.has(report.failed.reason)) throw new Error(report.failed.detail);
      this.lose();
    } else if (report.epochEnd?.epoch === this.#epoch) {
      this.#note(`epoch ${this.#epoch} is over: ${report.epochEnd.error.detail}`);
      this.beginEpoch();
      this.#resend();
    }
  }

  #settle(sequence: number): void {
    this.#settled = Math.max(this.#settled, sequence);
    for (const batch of this.#batches) {
      if (batch.sequence > sequence) break;
      if (batch.state === 'sent') batch.state = 'settled';
    }
  }

  #note(text: string): void {
    this.#history.note(`agent ${this.#number} ${text}`);
  }
}

/** With these a call ends and the agent opens another. */
const RETRIED: ReadonlySet<string> = new Set([
  'write_unknown',
  'storage_full',
  'stream_replaced',
  'overloaded',
]);

function unlessStuck<T>(work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('stuck')), STUCK_MS);
    void work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
