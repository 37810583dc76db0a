import { describe, expect, test } from '@jest/globals';
import { shardOf } from '../../src/ingest/route.ts';
import { serviceOf, UNKNOWN_SERVICE } from '../../src/profile/labels.ts';

describe('the shard of a service', () => {
  // Part of the format: a change of any of these makes stored data unreachable.
  test.each([
    ['anonymous', 'unknown_service', 7],
    ['anonymous', 'checkout', 7],
    ['anonymous', 'payments', 8],
    ['team-a', 'checkout', 4],
    ['anonymous', 'größe', 3],
    ['', '', 13],
  ])('of tenant %j, service %j is %d of 16', (tenant, service, shard) => {
    expect(shardOf(tenant, service, 16)).toBe(shard);
  });

  test('does not confuse where the tenant ends', () => {
    const spread = new Set(
      [
        ['ab', 'c'],
        ['a', 'bc'],
        ['abc', ''],
        ['', 'abc'],
      ].map(([tenant, service]) => shardOf(tenant as string, service as string, 2 ** 32)),
    );
    expect(spread.size).toBe(4);
  });

  test('spreads numbered names over all shards within a third of even', () => {
    const counts = new Array<number>(16).fill(0);
    for (let i = 0; i < 16_000; i++) {
      const shard = shardOf('anonymous', `service-${i}`, 16);
      counts[shard] = (counts[shard] as number) + 1;
    }
    expect(Math.min(...counts)).toBeGreaterThan(667);
    expect(Math.max(...counts)).toBeLessThan(1_333);
  });
});

describe('the service of labels', () => {
  test('is service_name', () => {
    expect(
      serviceOf([
        ['a', 'b'],
        ['service_name', 'shop'],
      ]),
    ).toBe('shop');
  });
  test.each([[[]], [[['service_name', '']]]])('is the unknown one for %j', (labels) => {
    expect(serviceOf(labels as [string, string][])).toBe(UNKNOWN_SERVICE);
  });
});
