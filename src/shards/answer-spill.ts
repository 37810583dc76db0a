import type { Steps } from '../base/steps.ts';
import type { Pause } from '../base/slice.ts';
import type { EncodedMessage, LateLength, Overflow } from '../query/encode/proto-writer.ts';
import type { ScratchWriter } from '../storage/scratch/scratch.ts';
import type { Limits } from './host-contract.ts';

/** The front of an answer in a scratch file, as a host tells it. */
export interface SpilledFront {
  /** Number of the scratch file. */
  readonly file: number;
  readonly lengths: readonly LateLength[];
}

/** A finished message and where its front is. */
export type Spilled<T extends EncodedMessage> = T & { readonly front: SpilledFront | undefined };

/**
 * Runs an encoder. An answer that grows beyond the limit goes to a scratch file in slices, each on its way
 * before more is encoded; so what it keeps of it are a few slices. Rejects with what the pause throws, and
 * as {@link ScratchWriter.append} does; there is then no file.
 */
export async function encodeSpilling<T extends EncodedMessage>(
  encode: (overflow: Overflow) => Steps<T>,
  pause: Pause,
  scratch: ScratchWriter,
  limits: Limits,
): Promise<Spilled<T>> {
  const spill = new Spill(scratch, limits);
  try {
    const steps = encode(spill);
    for (;;) {
      const { done, value } = steps.next();
      if (spill.isWaiting) await spill.flush();
      if (done === true) return { ...value, front: spill.front(value) };
      const rest = pause.here();
      if (rest !== undefined) await rest;
    }
  } catch (error) {
    await spill.drop();
    throw error;
  }
}

/** Takes full buffers, writes them, and gives them out again. */
class Spill implements Overflow {
  readonly limitBytes: number;
  readonly #sliceBytes: number;
  readonly #scratch: ScratchWriter;
  #waiting: { readonly full: Buffer; readonly used: number }[] = [];
  readonly #free: Buffer[] = [];
  #file: number | undefined;

  constructor(scratch: ScratchWriter, limits: Limits) {
    this.#scratch = scratch;
    this.limitBytes = limits.spilledAnswerBytes;
    this.#sliceBytes = limits.answerSliceBytes;
  }

  get isWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  take(full: Buffer, used: number): Buffer {
    this.#waiting.push({ full, used });
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(this.#sliceBytes);
  }

  async flush(): Promise<void> {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { full, used } of waiting) {
      this.#file ??= await this.#scratch.create();
      const { buffer, byteLength } = await this.#scratch.append(this.#file, full, used);
      if (byteLength === this.#sliceBytes) this.#free.push(Buffer.from(buffer));
    }
  }

  front({ overflowed }: EncodedMessage): SpilledFront | undefined {
    const file = this.#file;
    return overflowed === undefined || file === undefined
      ? undefined
      : { file, lengths: overflowed.lengths };
  }

  async drop(): Promise<void> {
    if (this.#file === undefined) return;
    // The reason why it is given up is what the caller wants to know.
    await this.#scratch.drop(this.#file).catch(() => {});
  }
}
