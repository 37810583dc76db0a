import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ChildTable } from '../../../src/query/tree/child-table.ts';

test('every pair of parent and name is one node, dense and above its parent', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(), fc.nat(30)), { maxLength: 600 }),
      fc.nat(40),
      (steps, expected) => {
        const table = new ChildTable(expected);
        const naive = new Map<string, number>();
        for (const [from, name] of steps) {
          // Few parents, so that some have many children and change over to the hash.
          const parent = (from % 5) % table.end;
          const key = `${parent}/${name}`;
          const node = table.intern(parent, name);
          expect(node).toBe(naive.get(key) ?? naive.size + 1);
          naive.set(key, node);
          expect(table.parent[node]).toBe(parent);
          expect(table.name[node]).toBe(name);
          expect(node).toBeGreaterThan(parent);
        }
        expect(table.end).toBe(naive.size + 1);
      },
    ),
  );
});
