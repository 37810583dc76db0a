import { TephraError } from '../../base/errors.ts';
import type { EncodedAnswer } from '../../query/request.ts';

/** Bytes of an answer on disk that are in memory at once. */
const WINDOW_BYTES = 128 * 1_024;

/** An answer of which a part is in memory: all of one that is not on disk. */
export class AnswerWindow {
  /** Bytes of the answer. */
  readonly byteLength: number;
  /** What is in memory: the answer from {@link from} on. */
  bytes: Uint8Array;
  from = 0;
  /** Behind the last byte in memory. */
  to: number;
  /** The most bytes that can be in memory at once. */
  readonly reach: number;
  readonly #answer: Pick<EncodedAnswer, 'bytes' | 'front'>;

  /** `windowBytes`: what is in memory at once of an answer on disk. */
  constructor(answer: Pick<EncodedAnswer, 'bytes' | 'front'>, windowBytes = WINDOW_BYTES) {
    this.#answer = answer;
    const { bytes, front } = answer;
    this.reach = front === undefined ? Infinity : windowBytes;
    this.byteLength = bytes.byteLength + (front?.byteLength ?? 0);
    this.bytes = front === undefined ? bytes : Buffer.allocUnsafeSlow(windowBytes);
    this.to = front === undefined ? bytes.byteLength : 0;
  }

  /** Whether so many bytes from `at` on, or all there are, are in memory. */
  has(at: number, bytes: number): boolean {
    return at >= this.from && Math.min(at + bytes, this.byteLength) <= this.to;
  }

  /** Goes to `at`. Rejects as the answer's front does. */
  async move(at: number): Promise<void> {
    const { bytes, front } = this.#answer;
    const frontBytes = front?.byteLength ?? 0;
    const wanted = Math.min(this.reach, this.byteLength - at);
    // Nothing is there while it is overwritten.
    this.to = 0;
    let done = 0;
    while (done < wanted) {
      const from = at + done;
      const place = this.bytes.subarray(done, wanted);
      if (from >= frontBytes) {
        place.set(bytes.subarray(from - frontBytes, from - frontBytes + place.byteLength));
        done = wanted;
      } else {
        const read = (await front?.read(from, place)) ?? 0;
        if (read === 0) throw new TephraError('internal', 'the end of an answer is not on disk');
        done += read;
      }
    }
    this.from = at;
    this.to = at + wanted;
  }

  /** Gives back what the answer has on disk. */
  close(): void {
    this.#answer.front?.close();
  }
}
