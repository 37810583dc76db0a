import type { ServerResponse } from 'node:http';
import type { Timers } from '../base/clock.ts';
import { LIMITS } from '../base/limits.ts';
import type { AnswerBudget, AnswerHold } from './answer-budget.ts';

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
  /** Takes the bytes of a whole answer. Throws as {@link AnswerHold.fit} does. */
  fit(bytes: number): void;
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
    fit(bytes) {
      hold?.fit(bytes);
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

/** How long a client may take for an answer of so many bytes. */
export function answerTimeMs(bytes: number): number {
  return LIMITS.answerGraceMs + (bytes / LIMITS.answerBytesPerSecondMin) * 1_000;
}
