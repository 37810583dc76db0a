import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { Slots } from '../../src/base/slots.ts';
import { oldSpaceGrowth } from '../support/old-space.ts';

test('whatever comes and goes, each is found in its place until it leaves', () => {
  fc.assert(
    fc.property(fc.array(fc.option(fc.nat(), { nil: undefined })), (steps) => {
      const slots = new Slots<{ value: number }>();
      const known = new Map<number, { value: number }>();
      for (const step of steps) {
        if (step === undefined || known.size > 5) {
          const [place, value] = [...known][0] ?? [0, undefined];
          expect(slots.take(place)).toBe(value);
          expect(slots.take(place)).toBeUndefined();
          known.delete(place);
        } else {
          const value = { value: step };
          const place = slots.add(value);
          expect(known.has(place)).toBe(false);
          known.set(place, value);
        }
        expect(slots.size).toBe(known.size);
        expect(new Set(slots.values())).toEqual(new Set(known.values()));
        for (const [place, value] of known) expect(slots.at(place)).toBe(value);
      }
    }),
  );
});

test('what went through is not kept until the next full collection, as a Map would', async () => {
  const slots = new Slots<object>();
  const places: number[] = [];
  const grown = await oldSpaceGrowth(() => {
    for (let i = 0; i < 25; i++) {
      places.push(slots.add({ bytes: Array.from({ length: 100 }, () => i) }));
      if (places.length > 8) slots.take(places.shift() as number);
    }
  });
  // 10,000 of 800 bytes went through, 8 at a time. Those that a collection meets may stay.
  expect(grown).toBeLessThan(4_000_000);
});
