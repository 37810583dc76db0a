import type { ServerResponse } from 'node:http';
import type { Timers } from '../base/clock.ts';
import { LIMITS } from '../base/limits.ts';
import type { AnswerBudget } from './answer-budget.ts';
import type { Hold } from './credits.ts';

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
  /** The same body, counted; each chunk has a time in which it must be taken. */
  counted(body: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array>;
}

/**
 * Bounds what clients that do not read can make us keep. A query runs only while there is room for
 * its answer, and an answer that is taken too slowly ends with its connection.
 */
export function holdAnswer(response: ServerResponse, deps: AnswerDeps): HeldAnswer {
  let hold: Hold | undefined;
  let cancel = (): void => {};
  let closed = false;
  response.once('close', () => {
    closed = true;
    cancel();
    hold?.release();
  });
  async function* each(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of body) {
      hold?.resize(chunk.byteLength);
      cancel = deps.timers.after(answerTimeMs(chunk.byteLength), () => response.destroy());
      // Each slice is asked for when the one before it is on its way.
      yield* slicesOf(chunk);
      cancel();
      hold?.resize(0);
    }
  }
  return {
    async room() {
      hold = await deps.answers.acquire(response.req.socket.remoteAddress ?? '');
      if (closed) hold.release();
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
