import type { Clock, Timers } from '../../../src/base/clock.ts';
import type { Dice } from '../../model/dice.ts';

interface Waiting {
  readonly what: string;
  readonly go: () => void;
  /** Not chosen before this step: a pause that may outlast hours of virtual time. */
  readonly heldUntil: number;
}

interface Timer {
  readonly dueMs: number;
  readonly callback: () => void;
}

/**
 * Time and order of a simulated process. Everything that waits for the outside (a store operation's
 * effect, its answer, a timer, a yield) waits here, and the dice choose what goes on next; nothing
 * else is asynchronous, so that a seed is a history.
 */
export class World {
  nowMs: number;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly #dice: Dice;
  #waiting: Waiting[] = [];
  #timers: Timer[] = [];
  #steps = 0;
  #workMs = 0;

  constructor(dice: Dice, nowMs: number) {
    this.#dice = dice;
    this.nowMs = nowMs;
    this.clock = {
      nowMs: () => this.nowMs,
      // Some work takes longer than a slice, and yields.
      monotonicMs: () => (this.#workMs += dice.chance(10) ? 6 : 0),
    };
    this.timers = {
      after: (delayMs, callback) => {
        const timer = { dueMs: this.nowMs + delayMs, callback };
        this.#timers.push(timer);
        return () => {
          this.#timers = this.#timers.filter((other) => other !== timer);
        };
      },
      yield: () => this.turn('yield'),
    };
  }

  /** Resolves when it is this one's turn. */
  turn(what: string): Promise<void> {
    const held = this.#dice.chance(3) ? this.#dice.whole(20, 200) : 0;
    return new Promise((go) => {
      this.#waiting.push({ what, go, heldUntil: this.#steps + held });
    });
  }

  /** Whether nothing waits, timers aside. */
  get idle(): boolean {
    return this.#waiting.length === 0;
  }

  /** Lets one of those that wait go on; false if there is none. `patient`: not those in a pause. */
  async step(patient: boolean): Promise<boolean> {
    this.#steps++;
    await this.quiet();
    const ready = patient
      ? this.#waiting.filter(({ heldUntil }) => heldUntil <= this.#steps)
      : this.#waiting;
    if (ready.length === 0) return false;
    const chosen = this.#dice.pick(ready);
    this.#waiting.splice(this.#waiting.indexOf(chosen), 1);
    chosen.go();
    await this.quiet();
    return true;
  }

  /** Moves the clock; what is due fires in order. */
  async advance(byMs: number): Promise<void> {
    const untilMs = this.nowMs + byMs;
    for (;;) {
      const next = this.#timers
        .filter(({ dueMs }) => dueMs <= untilMs)
        .toSorted((a, b) => a.dueMs - b.dueMs)[0];
      if (next === undefined) break;
      this.#timers.splice(this.#timers.indexOf(next), 1);
      this.nowMs = Math.max(this.nowMs, next.dueMs);
      next.callback();
      await this.quiet();
    }
    this.nowMs = untilMs;
  }

  /** Moves the clock to the next timer within `withinMs`; false if there is none. */
  async nextTimer(withinMs: number): Promise<boolean> {
    const dueMs = Math.min(...this.#timers.map((timer) => timer.dueMs));
    if (dueMs > this.nowMs + withinMs) return false;
    await this.advance(Math.max(0, dueMs - this.nowMs));
    return true;
  }

  /** Forgets all that waits: the process is gone. */
  end(): void {
    this.#waiting = [];
    this.#timers = [];
  }

  /** Resolves when all that follows from what happened has happened. */
  quiet(): Promise<void> {
    return new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
}
