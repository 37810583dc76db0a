/** An engine over a memory store, the calls of the port on it, and a naive answer to compare with. */
import { create, fromBinary, type DescMessage, type MessageInitShape } from '@bufbuild/protobuf';
import type { MessageShape } from '@bufbuild/protobuf';
import { systemTimers } from '../../../src/base/clock.ts';
import { systemRandom } from '../../../src/base/random.ts';
import type { PushItem } from '../../../src/ingest/push.ts';
import { rpcMethods } from '../../../src/server/rpc/methods.ts';
import { Readiness } from '../../../src/server/rpc/health.ts';
import { createMetrics } from '../../../src/base/metrics.ts';
import { replyBytes } from '../../../src/server/rpc/encoded.ts';
import { isStream } from '../../../src/server/rpc/method.ts';
import { createEngine } from '../../../src/shards/create-engine.ts';
import type { Limits } from '../../../src/shards/host-contract.ts';
import type { ShardedEngine } from '../../../src/shards/sharded-engine.ts';
import { MemoryBlobStore } from '../../../src/storage/blob-store/memory.ts';
import { MemoryState } from '../../../src/storage/blob-store/memory-state.ts';
import { otlpReceiver } from '../../support/otlp-receiver.ts';
import { encodePprof, type ModelFrame } from '../../model/profile.ts';

export const TYPE = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds';
/** 2026-03-14T00:00Z. */
export const DAY = Date.UTC(2026, 2, 14);
export const MINUTE = 60_000;

/** A sample: names root first. */
export interface Sample {
  readonly stack: readonly string[];
  readonly value: bigint;
  readonly labels?: readonly (readonly [string, string])[];
}

/** A profile. */
export interface Pushed {
  readonly startMs: number;
  readonly samples: readonly Sample[];
  readonly id?: string;
  readonly labels?: readonly (readonly [string, string])[];
  readonly name?: string;
  readonly type?: readonly [string, string];
}

/** The frame of a name. */
function frameOf(name: string): ModelFrame {
  return {
    name,
    systemName: name,
    file: `${name}.go`,
    startLine: 1,
    line: name.length,
    mappingFile: '/bin/a',
    buildId: 'b1',
    address: 0,
    inlined: false,
  };
}

/** The item of a profile. */
export function itemOf(pushed: Pushed, arrivalMs: number): PushItem {
  const type = pushed.type ?? ['cpu', 'nanoseconds'];
  return {
    tenant: 'anonymous',
    labels: [
      ['__name__', pushed.name ?? 'process_cpu'],
      ...(pushed.labels ?? [['service_name', 'shop']]),
    ],
    profileId: pushed.id ?? '',
    format: 'pprof',
    surface: 'push',
    arrivalMs,
    payload: encodePprof({
      sampleTypes: [type],
      periodType: ['cpu', 'nanoseconds'],
      period: 1n,
      timeNanos: BigInt(pushed.startMs) * 1_000_000n,
      samples: pushed.samples.map(({ stack, value, labels }) => ({
        frames: stack.map(frameOf),
        values: [value],
        labels: labels ?? [],
      })),
    }),
  };
}

/** See above. */
export class QueryBench {
  nowMs = DAY + 12 * 3_600_000;
  readonly state = new MemoryState();
  engine!: ShardedEngine;
  readonly #limits: Partial<Limits>;
  #incarnation = 0;

  constructor(limits: Partial<Limits> = {}) {
    this.#limits = { flushLingerMs: 0, ...limits };
  }

  /** Opens the engine over what is durable; again, as after a restart. */
  async open(): Promise<this> {
    await this.engine?.stop();
    this.engine = await createEngine({
      store: new MemoryBlobStore({ state: this.state }),
      workers: 0,
      shardCount: 2,
      incarnation: ++this.#incarnation,
      clock: { nowMs: () => this.nowMs, monotonicMs: () => performance.now() },
      timers: systemTimers,
      random: systemRandom,
      limits: this.#limits,
    });
    return this;
  }

  async push(...pushes: readonly Pushed[]): Promise<void> {
    const outcomes = await this.engine.push(pushes.map((one) => itemOf(one, this.nowMs)));
    for (const outcome of outcomes) {
      if (outcome.outcome === 'refused') throw new Error(outcome.error.detail);
    }
  }

  /** Absorbs everything: the clock moves on by three hours. */
  async absorb(): Promise<void> {
    this.nowMs += 3 * 3_600_000;
    await this.engine.runJobs(this.nowMs);
  }

  /** Forgets the raw tier; all must be absorbed. */
  async dropRaw(): Promise<void> {
    for (const name of this.state.volumes.keys()) {
      if (name.startsWith('raw/')) this.state.volumes.delete(name);
    }
    await this.open();
  }

  /** Changes stored bytes of blobs whose key matches, and opens again. Returns how many. */
  async damage(key: RegExp, change: (bytes: Uint8Array) => void): Promise<number> {
    let count = 0;
    for (const { blobs } of this.state.volumes.values()) {
      for (const [name, bytes] of blobs) {
        if (!key.test(name)) continue;
        const changed = bytes.slice();
        change(changed);
        blobs.set(name, changed);
        count++;
      }
    }
    await this.open();
    return count;
  }

  /** Calls an RPC and gives its answer as a message, through the bytes. */
  async call<I extends DescMessage, O extends DescMessage>(
    method: { input: I; output: O; name: string; parent: { typeName: string } },
    request: MessageInitShape<I>,
  ): Promise<MessageShape<O>> {
    const rpc = this.#rpc(method);
    if (isStream(rpc)) throw new Error('a stream');
    const reply = await rpc.run(create(method.input, request), this.#context());
    return fromBinary(method.output, replyBytes(method.output, reply));
  }

  /** The same for a stream of answers. */
  async stream<I extends DescMessage, O extends DescMessage>(
    method: { input: I; output: O; name: string; parent: { typeName: string } },
    request: MessageInitShape<I>,
  ): Promise<MessageShape<O>[]> {
    const rpc = this.#rpc(method);
    if (!isStream(rpc)) throw new Error('no stream');
    const answers: MessageShape<O>[] = [];
    for await (const reply of rpc.run(create(method.input, request), this.#context())) {
      answers.push(fromBinary(method.output, replyBytes(method.output, reply)));
    }
    return answers;
  }

  #rpc(method: { name: string; parent: { typeName: string } }) {
    const name = `${method.parent.typeName}/${method.name}`;
    const metrics = createMetrics();
    const otlp = otlpReceiver(this.engine, metrics);
    const rpcs = rpcMethods(this.engine, metrics, new Readiness({ timers: systemTimers }), otlp);
    const rpc = rpcs.find((one) => one.name === name);
    if (rpc === undefined) throw new Error(`no ${name}`);
    return rpc;
  }

  #context() {
    return {
      tenant: 'anonymous',
      arrivalMs: this.nowMs,
      utf8LabelNames: true,
      signal: new AbortController().signal,
    };
  }
}

/** Values by stack (JSON of names). */
export type Stacks = Map<string, bigint>;

/** The tree bytes of format 2 as values by stack; checks that they end where the walk ends. */
export function readTree(bytes: Uint8Array): Stacks {
  const stacks: Stacks = new Map();
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++];
      if (byte === undefined) throw new Error('cut');
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  const node = (path: readonly string[], isRoot: boolean): void => {
    const size = Number(varint());
    const name = Buffer.from(bytes.subarray(at, at + size)).toString();
    at += size;
    const self = varint();
    const children = Number(varint());
    const own = isRoot ? [] : [...path, name];
    // What was folded may have the name of a real function.
    const key = JSON.stringify(own);
    if (self > 0n) stacks.set(key, (stacks.get(key) ?? 0n) + self);
    for (let i = 0; i < children; i++) node(own, false);
  };
  if (bytes.byteLength > 0) node([], true);
  if (at !== bytes.byteLength) throw new Error('bytes too many');
  return stacks;
}

/** Sorted, to compare. */
export function sorted(stacks: Stacks): [string, bigint][] {
  return [...stacks].sort(([a], [b]) => (a < b ? -1 : 1));
}

/** Sum of all values. */
export function totalOf(stacks: Stacks): bigint {
  let sum = 0n;
  for (const value of stacks.values()) sum += value;
  return sum;
}
