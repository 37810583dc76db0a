import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { bytesEqual } from '../../../src/base/bytes.ts';
import { decodeEntries } from '../../../src/storage/column/decode.ts';
import {
  decodeFragment,
  decodeFragmentDirectory,
  decodeSection,
  FRAGMENT_FOOTER_BYTES,
  fragmentDirectoryAt,
} from '../../../src/storage/fragment/decode.ts';
import {
  encodeFragment,
  type Fragment,
  type FragmentPush,
  type FragmentSection,
} from '../../../src/storage/fragment/encode.ts';
import { KEY_BYTES } from '../../../src/storage/fragment/tags.ts';
import { attack, entries } from '../arbitraries.ts';
import { DAY, FRAGMENT, lengths } from '../fixtures.ts';

/** The whole fragment back in the shape that was encoded. */
function decodeAll(bytes: Uint8Array): Fragment {
  const { sections, ...rest } = decodeFragment(bytes);
  return {
    ...rest,
    sections: sections.map((entry): FragmentSection => {
      const { tenant, service, dayMs, epoch, seed, from, to } = entry;
      const { slice, pushes } = decodeSection(bytes, entry);
      return {
        tenant,
        service,
        dayMs,
        epoch,
        seed,
        from,
        to,
        slice,
        pushes: pushes.map(({ index: _, groups, ...push }): FragmentPush => ({
          ...push,
          groups: groups.map(({ spanId, traceId, at, end }) => ({
            spanId,
            traceId,
            entries: decodeEntries(bytes, at, end),
          })),
        })),
      };
    }),
  };
}

const hexId = (bytes: number): fc.Arbitrary<string> =>
  fc.oneof(
    fc.constant(''),
    fc
      .uint8Array({ minLength: bytes, maxLength: bytes })
      .map((id) => Buffer.from(id).toString('hex')),
  );

const push: fc.Arbitrary<FragmentPush> = fc
  .record({
    key: fc.uint8Array({ minLength: 16, maxLength: 16 }),
    profileId: fc.oneof(fc.constant(''), fc.uuid(), fc.string({ unit: 'grapheme' })),
    startMs: fc.integer({ min: DAY, max: DAY + 86_399_999 }),
    durationMs: fc.nat(),
    columns: fc.nat(3),
    ticks: fc.array(fc.bigInt(0n, 1n << 50n), { minLength: 3, maxLength: 3 }),
    grains: fc.array(fc.bigInt(1n, 1n << 13n), { minLength: 3, maxLength: 6 }),
  })
  .chain(({ columns, ticks, grains, ...rest }) =>
    fc
      .array(fc.record({ spanId: hexId(8), traceId: hexId(16), entries: entries(5000, columns) }), {
        maxLength: 3,
      })
      .map((groups) => ({
        ...rest,
        types:
          columns === 0
            ? []
            : grains.map((grain, i) => ({
                series: i * 7,
                grain,
                total: (ticks[i % columns] as bigint) * grain,
                column: i % columns,
              })),
        groups,
      })),
  );

const section: fc.Arbitrary<FragmentSection> = fc.record({
  tenant: fc.string({ unit: 'grapheme' }),
  service: fc.string(),
  dayMs: fc.constant(DAY),
  epoch: fc.nat(),
  seed: fc.constant(lengths(2, 0, 1, 1, 0, 0)),
  from: fc.constant(lengths(5, 6, 7, 8, 9, 10)),
  to: fc.constant(lengths(5, 6, 7, 8, 9, 1000)),
  slice: fc.uint8Array(),
  pushes: fc.array(push, { minLength: 1, maxLength: 4 }),
});

test('a fragment comes back as it went in', () => {
  fc.assert(
    fc.property(
      fc.record({
        incarnation: fc.maxSafeNat(),
        seq: fc.maxSafeNat(),
        shard: fc.nat(99),
        arrivalHourMs: fc.nat(1_000_000).map((hour) => hour * 3_600_000),
        skipped: fc.array(fc.nat()),
        sections: fc.array(section, { maxLength: 4 }),
      }),
      (fragment) => {
        expect(decodeAll(encodeFragment(fragment))).toEqual(fragment);
      },
    ),
  );
  expect(decodeAll(encodeFragment(FRAGMENT))).toEqual(FRAGMENT);
});

test('every cut and every flipped bit is refused, never decoded to something else', () => {
  attack(encodeFragment(FRAGMENT), decodeAll);
});

test('damage in a section costs that section alone', () => {
  const bytes = encodeFragment(FRAGMENT);
  const [first, second] = decodeFragment(bytes).sections;
  if (first === undefined || second === undefined) throw new Error('two sections');
  bytes[first.at + 3] = (bytes[first.at + 3] as number) ^ 1;
  expect(() => decodeSection(bytes, first)).toThrow(
    /^corrupt_block: section anonymous\/shop fails/,
  );
  expect(decodeSection(bytes, second).pushes).toHaveLength(2);
});

test('the tail alone gives the directory, and a section alone its pushes', () => {
  const bytes = encodeFragment(FRAGMENT);
  const at = fragmentDirectoryAt(bytes.slice(-FRAGMENT_FOOTER_BYTES), bytes.byteLength);
  const view = decodeFragmentDirectory(bytes.slice(at), at);
  expect(view).toEqual(decodeFragment(bytes));
  for (const entry of view.sections) {
    const alone = bytes.slice(entry.at, entry.end);
    const { pushes } = decodeSection(alone, entry, entry.at);
    const whole = decodeSection(bytes, entry).pushes;
    for (const [p, { groups, key }] of pushes.entries()) {
      expect(bytesEqual(key, entry.keys.subarray(p * KEY_BYTES, (p + 1) * KEY_BYTES))).toBe(true);
      for (const [g, group] of groups.entries()) {
        const there = whole[p]?.groups[g];
        expect(group.at + entry.at).toBe(there?.at);
        expect(group.end + entry.at).toBe(there?.end);
      }
    }
  }
  expect(view.sections[1]).toMatchObject({ minMs: DAY, maxMs: DAY + 86_399_999 });
});

test('a newer version is told apart from damage', () => {
  const bytes = encodeFragment(FRAGMENT);
  bytes[4] = 2;
  expect(() => decodeFragment(bytes)).toThrow(/^unknown_format_version: fragment: version 2/);
});

test('a push outside of its day is a bug of the writer', () => {
  const [first] = FRAGMENT.sections as [FragmentSection];
  const pushes = first.pushes.map((p) => ({ ...p, startMs: DAY + 86_400_000 }));
  expect(() => encodeFragment({ ...FRAGMENT, sections: [{ ...first, pushes }] })).toThrow(
    /partition/,
  );
});
