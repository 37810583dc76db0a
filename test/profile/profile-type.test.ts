import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { formatProfileType, parseProfileType, typePart } from '../../src/profile/profile-type.ts';

test('the id of any type is read as that type, colons aside', () => {
  const part = fc.oneof(fc.string(), fc.constantFrom('', ':', 'cycles:u', 'a_b'));
  fc.assert(
    fc.property(part, part, part, part, part, (name, type, unit, periodType, periodUnit) => {
      const parsed = parseProfileType(
        formatProfileType({ name, type, unit, periodType, periodUnit }),
      );
      expect(parsed).toEqual({
        name: typePart(name),
        type: typePart(type),
        unit: typePart(unit),
        periodType: typePart(periodType),
        periodUnit: typePart(periodUnit),
      });
    }),
  );
});
