import type { ServerResponse } from 'node:http';
import { TephraError } from '../../base/errors.ts';
import type { Timers } from '../../base/clock.ts';
import { LIMITS } from '../../base/limits.ts';
import type { AnswerFront, EncodedAnswer } from '../../query/request.ts';
import type { AnswerBudget, AnswerHold } from './budget.ts';

/** What holding answers needs. */
export interface AnswerDeps {
  /** Bytes of answers that clients have not taken. */
  readonly answers: AnswerBudget;
  readonly timers: Timers;
}

/** The bytes of one answer, counted from when they are ready until the client has taken them. */
export interface HeldAnswer {
  /** Waits until there is room for another answer. Throws as {@link AnswerBudget.acquire} does. */
  room(): Promise<void>;
  /**
   * Takes the bytes of a whole answer, and its front, which is closed when the response ends. Throws as
   * {@link AnswerHold.fit} does.
   */
  fit(bytes: number, front?: AnswerFront): void;
  /** The same body in slices; each has a time in which it must be taken, and so have all together. */
  counted(body: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array>;
}

/**
 * Bounds what clients that do not read can make us keep. A query runs only while there is room for
 * its answer, and an answer that is taken too slowly ends with its connection.
 */
export function holdAnswer(response: ServerResponse, deps: AnswerDeps): HeldAnswer {
  let hold: AnswerHold | undefined;
  let stalled = (): void => {};
  let late = (): void => {};
  let closed = false;
  let fitted = false;
  const end = (): void => {
    response.destroy();
  };
  response.once('close', () => {
    closed = true;
    stalled();
    late();
    hold?.release();
  });
  const limitTime = (bytes: number): void => {
    late();
    if (!closed) late = deps.timers.after(answerTimeMs(bytes), end);
  };
  async function* each(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of body) {
        if (!fitted) {
          hold?.resize(chunk.byteLength);
          limitTime(chunk.byteLength);
        }
        for (const slice of slicesOf(chunk)) {
          if (closed) return;
          stalled = deps.timers.after(LIMITS.answerStallMs, end);
          // The next one is asked for when this one is on its way.
          yield slice;
          stalled();
        }
      }
    } finally {
      stalled();
      late();
    }
  }
  return {
    async room() {
      hold = await deps.answers.acquire(response.req.socket.remoteAddress ?? '');
      if (closed) hold.release();
    },
    fit(bytes, front) {
      try {
        hold?.fit(bytes);
      } catch (refusal) {
        front?.close();
        throw refusal;
      }
      if (front !== undefined) {
        if (closed) front.close();
        else response.once('close', () => front.close());
      }
      fitted = true;
      limitTime(bytes);
    },
    counted: each,
  };
}

/** Bytes that are written at once: a socket's queue holds no more than this of a large answer. */
const SLICE_BYTES = 256 * 1_024;

/** Views of `bytes`, one after the other. */
export function* slicesOf(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += SLICE_BYTES) {
    yield bytes.subarray(at, at + SLICE_BYTES);
  }
}

/** Bytes of an answer, in memory and on disk. */
export function answerBytes({ bytes, front }: EncodedAnswer): number {
  return bytes.byteLength + (front?.byteLength ?? 0);
}

/** Buffers that the slices of a front take turns in. */
const BUFFERS = 4;

/**
 * An answer in slices, the front closed behind the last of its own. A slice is overwritten when the
 * third one after it is asked for: until then whoever writes it must be done with it.
 */
export async function* answerSlices({ bytes, front }: EncodedAnswer): AsyncGenerator<Uint8Array> {
  if (front !== undefined) {
    try {
      // New buffers for each slice would wait for the collector: up to 32 MB of them a thread.
      const buffers: Uint8Array[] = [];
      for (let at = 0, turn = 0; at < front.byteLength; turn = (turn + 1) % BUFFERS) {
        const buffer = (buffers[turn] ??= Buffer.allocUnsafeSlow(SLICE_BYTES));
        const read = await front.read(at, buffer);
        if (read === 0) throw new TephraError('internal', 'the end of an answer is not on disk');
        at += read;
        yield buffer.subarray(0, read);
      }
    } finally {
      front.close();
    }
  }
  yield* slicesOf(bytes);
}

/** The answer in memory, as a whole: for what cannot be written piece by piece. */
export async function wholeAnswer(answer: EncodedAnswer): Promise<EncodedAnswer> {
  if (answer.front === undefined) return answer;
  const bytes = new Uint8Array(answerBytes(answer));
  let at = 0;
  for await (const slice of answerSlices(answer)) {
    bytes.set(slice, at);
    at += slice.byteLength;
  }
  return { bytes, notes: answer.notes };
}

/** How long a client may take for an answer of so many bytes. */
export function answerTimeMs(bytes: number): number {
  return LIMITS.answerGraceMs + (bytes / LIMITS.answerBytesPerSecondMin) * 1_000;
}
