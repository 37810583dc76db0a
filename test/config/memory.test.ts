import { describe, expect, it } from '@jest/globals';
import { budgetBytes, usableMemory } from '../../src/config/memory.ts';

const MIB = 1024 * 1024;

describe('budgetBytes()', () => {
  it('adds up what docs and limits name, and fits a small machine', () => {
    // 256 dictionaries, 64 head, 64 duplicates, 64 pages, 4 roots, 256 queries, 128 streams, 48 OTLP,
    // 64 LevelDB, 64 in flight.
    expect(budgetBytes(64 * MIB)).toBe(1_012 * MIB);
    expect(budgetBytes(0)).toBe(948 * MIB);
  });
});

describe('usableMemory()', () => {
  it.each([
    [8_000, 0, 8_000],
    [8_000, 2_000, 2_000],
    [8_000, 2 ** 63, 8_000],
  ])('of a machine with %d and a bound of %d is %d', (machine, bound, usable) => {
    expect(usableMemory(machine, bound)).toBe(usable);
  });
});
