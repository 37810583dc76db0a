import { createHash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { hex } from '../../src/base/bytes.ts';
import { clientId, identityOf } from '../../src/ingest/identity.ts';
import type { PushItem } from '../../src/ingest/push.ts';

const ITEM: PushItem = {
  tenant: 'anonymous',
  labels: [
    ['__name__', 'process_cpu'],
    ['service_name', 'shöp'],
  ],
  profileId: '',
  format: 'pprof',
  surface: 'push',
  payload: new Uint8Array([1, 2, 3]),
  arrivalMs: 0,
};

/** What the identity is said to be, part by part. */
function described(item: PushItem): string {
  const hash = createHash('sha256');
  const part = (bytes: string | Uint8Array): void => {
    const length = Buffer.alloc(4);
    length.writeUInt32LE(Buffer.byteLength(bytes), 0);
    hash.update(length).update(bytes);
  };
  part(item.tenant);
  part(String(item.labels.length));
  for (const text of item.labels.flat()) part(text);
  part(clientId(item));
  part(`${item.fromMs ?? ''}-${item.untilMs ?? ''}`);
  part(item.payload);
  return hash.digest('hex').slice(0, 32);
}

describe('identityOf', () => {
  test('never changes: it is stored', () => {
    expect(hex(identityOf(ITEM))).toBe('74e73d662599daf4b1c8167489511f5f');
  });

  test('is what it is said to be, for any texts and payload', () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 2_000 });
    fc.assert(
      fc.property(
        fc.record({
          tenant: text,
          labels: fc.array(fc.tuple(text, text), { maxLength: 40 }),
          profileId: fc.oneof(text, fc.constant('00000000-0000-0000-0000-000000000000')),
          fromMs: fc.option(fc.nat(), { nil: undefined }),
          untilMs: fc.option(fc.nat(), { nil: undefined }),
          payload: fc.uint8Array({ maxLength: 5_000 }),
        }),
        (fields) => {
          const item: PushItem = { ...ITEM, ...fields };
          expect(hex(identityOf(item))).toBe(described(item));
        },
      ),
      { numRuns: 60 },
    );
  });
});
