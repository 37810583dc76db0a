import { describe, expect, test } from '@jest/globals';
import type { Timers } from '../../../src/base/clock.ts';
import { AddressCredits } from '../../../src/server/body/address-credits.ts';
import { Credits } from '../../../src/server/body/credits.ts';

/** Timers that fire when the test says so. */
class HandTimers implements Timers {
  readonly #pending = new Set<() => void>();
  after(_delayMs: number, callback: () => void): () => void {
    this.#pending.add(callback);
    return () => this.#pending.delete(callback);
  }
  yield(): Promise<void> {
    return Promise.resolve();
  }
  fire(): void {
    for (const callback of this.#pending) callback();
    this.#pending.clear();
  }
}

function make(limitBytes = 100) {
  const timers = new HandTimers();
  return { timers, credits: new Credits({ limitBytes, waitMs: 2_000, timers }) };
}

describe('credits', () => {
  test('are taken, corrected and given back once', async () => {
    const { credits } = make();
    const hold = await credits.acquire(40);
    hold.resize(70);
    expect(credits.heldBytes).toBe(70);
    hold.release();
    hold.release();
    hold.resize(50);
    expect(credits.heldBytes).toBe(0);
  });

  test('are waited for in order', async () => {
    const { credits } = make();
    const first = await credits.acquire(90);
    const order: number[] = [];
    const big = credits.acquire(60).then((hold) => {
      order.push(60);
      return hold;
    });
    // Would fit, but a small one must not overtake a big one for ever.
    const small = credits.acquire(5).then((hold) => {
      order.push(5);
      return hold;
    });
    await Promise.resolve();
    expect(order).toEqual([]);
    first.release();
    for (const hold of await Promise.all([big, small])) hold.release();
    expect(order).toEqual([60, 5]);
    expect(credits.heldBytes).toBe(0);
  });

  test('are taken at once only where nobody waits, by address too', async () => {
    const { credits, timers } = make();
    const shares = new AddressCredits(
      credits,
      () => new Credits({ limitBytes: 60, waitMs: 2_000, timers }),
    );
    const first = shares.of('a').take(50);
    expect(credits.heldBytes).toBe(50);
    expect(shares.of('a').take(20)).toBeUndefined();
    expect(credits.heldBytes).toBe(50);
    const other = shares.of('b').take(40);
    first?.resize(55);
    expect(credits.heldBytes).toBe(95);
    const waiting = shares.of('a').acquire(50);
    expect(shares.of('a').take(1)).toBeUndefined();
    first?.release();
    first?.release();
    first?.resize(1);
    (await waiting).release();
    other?.release();
    expect(credits.heldBytes).toBe(0);
    const again = shares.of('a').take(60);
    expect(again).toBeDefined();
    again?.release();
    expect(credits.heldBytes).toBe(0);
  });

  test('are refused when nothing is given back in time, and the next goes in', async () => {
    const { credits, timers } = make();
    const first = await credits.acquire(90);
    const refused = credits.acquire(60);
    timers.fire();
    await expect(refused).rejects.toMatchObject({ reason: 'overloaded' });
    (await credits.acquire(10)).release();
    first.release();
  });

  test('let one request in that is larger than all of them', async () => {
    const { credits } = make();
    const hold = await credits.acquire(500);
    expect(credits.heldBytes).toBe(500);
    hold.release();
  });
});
