import { MINUTE_MS } from '../../base/time.ts';
import type { SampleStream } from '../../client/index.ts';
import type { TextProfileType } from '../../profile/ingest-naming.ts';
import type { PrintedStack } from '../../profile/stack-lines/sample.ts';

/** A batch goes out early at so many stacks, or so many characters of stacks that are new to the tables. */
const STACKS_MAX = 20_000;
const CHARACTERS_MAX = 1024 * 1024;
/** Values of a batch stay below it, in the unit of the type: the sum of two is below 2^63. */
const VALUE_MAX = 2 ** 61;

/** Sums stacks over an interval, and gives them to a stream as one batch. */
export class Collector {
  readonly #stream: SampleStream;
  readonly #type: TextProfileType;
  /** Of stacks seen; by number in the stream's tables. */
  #sums = new Map<number, number>();
  #characters = 0;
  #startMs = 0;
  #total = 0;
  #isNanos = false;
  /** Stacks as they came, each with its count. */
  samples = 0;
  /** (stack, value) pairs that were given to the stream. */
  entries = 0;

  constructor(stream: SampleStream, type: TextProfileType) {
    this.#stream = stream;
    this.#type = type;
  }

  /** Counts a stack that came at `nowMs`; false if its value is too large. */
  add(stack: PrintedStack, nowMs: number): boolean {
    // CPU time as the tool has it stands for the count only where time is asked for.
    const nanos = this.#type.period > 0n ? stack.nanos : undefined;
    const isNanos = nanos !== undefined;
    const value = nanos ?? stack.count;
    const scaled = value * (isNanos ? 1 : this.#type.unitScale);
    if (scaled > VALUE_MAX) return false;
    if (value === 0) return true;
    const isOver =
      isNanos !== this.#isNanos ||
      this.#total + scaled > Number.MAX_SAFE_INTEGER ||
      Math.floor(nowMs / MINUTE_MS) !== Math.floor(this.#startMs / MINUTE_MS);
    if (isOver) this.flush(nowMs);
    if (this.#sums.size === 0) {
      this.#startMs = nowMs;
      this.#isNanos = isNanos;
    }
    const number = this.#number(stack.frames);
    this.#sums.set(number, (this.#sums.get(number) ?? 0) + value);
    this.#total += scaled;
    this.samples += stack.count;
    if (this.#sums.size >= STACKS_MAX || this.#characters >= CHARACTERS_MAX) this.flush(nowMs);
    return true;
  }

  /** Gives what there is to the stream. */
  flush(nowMs: number): void {
    if (this.#sums.size === 0) return;
    const { name, sampleType, periodType, period, unitScale } = this.#type;
    const type = { name, ...sampleType, periodType, period: Number(period) };
    const stacks = [...this.#sums.keys()].sort((a, b) => a - b);
    const part = {
      family: this.#stream.tables.family({ labels: {}, types: [type] }),
      startMs: this.#startMs,
      durationMs: Math.max(0, Math.round(nowMs - this.#startMs)),
      stacks,
      columns: [stacks.map((stack) => this.#sums.get(stack) as number)],
    };
    this.#stream.write([this.#isNanos ? part : { ...part, typeScale: [unitScale] }]);
    this.entries += stacks.length;
    this.#sums = new Map();
    this.#characters = 0;
    this.#total = 0;
  }

  #number(frames: readonly string[]): number {
    const { tables } = this.#stream;
    const before = tables.stackParent.length;
    let stack = 0;
    let characters = 0;
    for (const frame of frames) {
      stack = tables.stack(stack, tables.frame(frame));
      characters += frame.length + 1;
    }
    if (tables.stackParent.length > before) this.#characters += characters;
    return stack;
  }
}
