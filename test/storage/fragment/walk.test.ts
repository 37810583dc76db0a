import { expect, test } from '@jest/globals';
import { TephraError } from '../../../src/base/errors.ts';
import {
  decodeFragment,
  decodeSection,
  readTypesAt,
} from '../../../src/storage/fragment/decode.ts';
import { encodeFragment, type Fragment } from '../../../src/storage/fragment/encode.ts';
import { SectionWalk } from '../../../src/storage/fragment/walk.ts';
import { FRAGMENT } from '../fixtures.ts';

test('a walk finds of each push what decoding it gives', () => {
  const bytes = encodeFragment(FRAGMENT);
  for (const entry of decodeFragment(bytes).sections) {
    const walk = new SectionWalk(bytes, entry);
    for (const push of decodeSection(bytes, entry).pushes) {
      expect(walk.next()).toBe(true);
      expect(walk).toMatchObject({ index: push.index, startMs: push.startMs });
      expect(walk.groupAt).toEqual(push.groups.map(({ at }) => at));
      expect(walk.groupEnd).toEqual(push.groups.map(({ end }) => end));
      const types = readTypesAt(bytes, walk.typesAt, walk.typesEnd);
      const totals = types.map(({ grain, column }) => grain * ticksOf(walk, column));
      expect(types.map((type, t) => ({ ...type, total: totals[t] }))).toEqual(push.types);
    }
    expect(walk.next()).toBe(false);
  }
});

test('sums of ticks up to 2^64 are read exactly', () => {
  for (const total of [2n ** 32n, 2n ** 49n + 1n, 2n ** 53n + 1n, 2n ** 64n - 2n]) {
    const bytes = encodeFragment(withTotal(total));
    const [entry] = decodeFragment(bytes).sections;
    const walk = new SectionWalk(bytes, entry as NonNullable<typeof entry>);
    walk.next();
    expect(ticksOf(walk, 0)).toBe(total);
  }
});

test('a walk through damaged pushes ends, and tells what it cannot read', () => {
  const bytes = encodeFragment(FRAGMENT);
  for (const entry of decodeFragment(bytes).sections) {
    const walkOf = (damaged: Uint8Array): void => {
      const walk = new SectionWalk(damaged, { ...entry, at: 0, end: damaged.byteLength });
      while (walk.next());
    };
    const section = bytes.slice(entry.at, entry.end);
    for (let size = 0; size < section.byteLength; size++) {
      expect(() => walkOf(section.slice(0, size))).toThrow(/^corrupt_block/);
    }
    for (let bit = 0; bit < section.byteLength * 8; bit++) {
      const damaged = section.slice();
      damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7));
      try {
        walkOf(damaged);
      } catch (thrown) {
        expect(TephraError.from(thrown).reason).toBe('corrupt_block');
      }
    }
  }
});

function ticksOf({ ticks }: SectionWalk, column: number): bigint {
  return BigInt(ticks[2 * column + 1] ?? 0) * 2n ** 32n + BigInt(ticks[2 * column] ?? 0);
}

/** The first push of the fragment alone, with one type of this total. */
function withTotal(total: bigint): Fragment {
  const [section] = FRAGMENT.sections as [Fragment['sections'][number]];
  const [push] = section.pushes as [(typeof section.pushes)[number]];
  const stacks = Uint32Array.of(1);
  const entries = { stacks, ticks: [BigUint64Array.of(total)] };
  const types = [{ series: 0, grain: 1n, total, column: 0 }];
  const groups = [{ spanId: '', traceId: '', entries }];
  return { ...FRAGMENT, sections: [{ ...section, pushes: [{ ...push, types, groups }] }] };
}
