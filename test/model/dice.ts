import { seededRandom, type Random } from '../../src/base/random.ts';

/** Choices of one history, all from its seed. */
export class Dice {
  readonly random: Random;

  constructor(seed: number) {
    this.random = seededRandom(seed);
  }

  /** A whole number in [from, to]. */
  whole(from: number, to: number): number {
    return from + Math.floor((this.random.u32() / 2 ** 32) * (to - from + 1));
  }

  /** True in `percent` of 100 cases. */
  chance(percent: number): boolean {
    return this.random.u32() / 2 ** 32 < percent / 100;
  }

  /** One of them. */
  pick<T>(items: readonly T[]): T {
    return items[this.whole(0, items.length - 1)] as T;
  }

  /** One of them, each as likely as its weight says. */
  weighted<T extends string | number>(weights: Readonly<Record<T, number>>): `${T}` {
    const rows = Object.entries(weights) as [`${T}`, number][];
    let rest = this.whole(
      1,
      rows.reduce((sum, [, weight]) => sum + weight, 0),
    );
    for (const [name, weight] of rows) {
      rest -= weight;
      if (rest <= 0) return name;
    }
    return (rows[0] as [`${T}`, number])[0];
  }

  /** The items in another order. */
  shuffled<T>(items: readonly T[]): T[] {
    const all = [...items];
    for (let i = all.length - 1; i > 0; i--) {
      const j = this.whole(0, i);
      [all[i], all[j]] = [all[j] as T, all[i] as T];
    }
    return all;
  }

  /** Lower-case hexadecimal of `digits` digits. */
  hex(digits: number): string {
    return Buffer.from(this.random.bytes(Math.ceil(digits / 2)))
      .toString('hex')
      .slice(0, digits);
  }
}
