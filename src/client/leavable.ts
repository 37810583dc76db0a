/**
 * The messages of one call, which may be left before its last. What Connect gives to iterate cannot be left:
 * the call and the timer of its deadline would stay, and the process with them.
 */
export class LeavableMessages<M> {
  readonly #leave = new AbortController();
  readonly #messages: AsyncIterator<M>;

  /** `call` begins the call, which ends by the signal that it is given; `signal` ends it too. */
  constructor(call: (signal: AbortSignal) => AsyncIterable<M>, signal: AbortSignal | undefined) {
    const own = this.#leave.signal;
    const both = signal === undefined ? own : AbortSignal.any([own, signal]);
    this.#messages = call(both)[Symbol.asyncIterator]();
  }

  /** The next message. Throws what the call ends with; after {@link leave} that it was cancelled. */
  next(): Promise<IteratorResult<M>> {
    return this.#messages.next();
  }

  /** Ends the call, if it has not ended; resolves when nothing of it is left. */
  async leave(): Promise<void> {
    this.#leave.abort();
    // The library clears its timer where the next message is asked for.
    await this.#messages.next().catch(() => {});
  }
}
