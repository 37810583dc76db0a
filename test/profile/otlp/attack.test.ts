import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { toBinary } from '@bufbuild/protobuf';
import { TephraError } from '../../../src/base/errors.ts';
import { ExportProfilesServiceRequestSchema } from '../../../src/gen/opentelemetry/proto/collector/profiles/v1development/profiles_service_pb.ts';
import { PprofReader } from '../../../src/profile/pprof/read.ts';
import { WireBuilder } from '../../support/wire-builder.ts';
import { anyRequest, smallRequest, split } from './request.ts';

const reader = new PprofReader();

/** Whether the request is read, or refused for a reason; anything else is thrown on. */
function isRead(bytes: Uint8Array): boolean {
  try {
    for (const { payload } of split(bytes, { bytesMax: 1 << 20 }).pushes) reader.read(payload);
    return true;
  } catch (thrown) {
    if (!(thrown instanceof TephraError)) throw thrown;
    expect(thrown.reason).not.toBe('internal');
    return false;
  }
}

const small = toBinary(ExportProfilesServiceRequestSchema, smallRequest());

describe('bytes that are no request are refused for a reason', () => {
  test('a request that ends early, at every byte', () => {
    for (let end = 0; end < small.byteLength; end++) isRead(small.slice(0, end));
  });

  test('a request with one bit turned', () => {
    let read = 0;
    // Coprime to the bits of a byte: every byte, each bit of some.
    for (let bit = 0; bit < small.byteLength * 8; bit += 5) {
      const bytes = small.slice();
      bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7));
      if (isRead(bytes)) read++;
    }
    expect(read).toBeGreaterThan(100);
    expect(read).toBeLessThan((small.byteLength * 8) / 5);
  });

  test('any request with some bytes changed', () => {
    fc.assert(
      fc.property(
        anyRequest,
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 3 }),
        (request, changes) => {
          const bytes = toBinary(ExportProfilesServiceRequestSchema, request);
          for (const [at, byte] of changes) bytes[at % bytes.byteLength] = byte;
          isRead(bytes);
        },
      ),
      { numRuns: 100 },
    );
  });

  test('any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        isRead(bytes);
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('small requests do not take large memory', () => {
  const refusal = (bytes: Uint8Array): string => {
    try {
      split(bytes);
      return '';
    } catch (thrown) {
      return (thrown as TephraError).reason;
    }
  };
  const many = (no: number, count: number): Uint8Array => {
    const bytes = new Uint8Array(2 * count);
    for (let i = 0; i < bytes.byteLength; i += 2) bytes[i] = no * 8 + 2;
    return bytes;
  };

  test('dictionaries, one after the other', () => {
    expect(refusal(many(2, 16))).toBe('');
    expect(refusal(many(2, 1_000_000))).toBe('malformed_protobuf');
  });

  test('resources without a profile are nothing', () => {
    expect(refusal(many(1, 200_000))).toBe('');
  });

  test.each([
    [2, 'locations_limit'],
    [7, 'otlp_table_limit'],
  ])('empty rows of table %d', (no, reason) => {
    expect(refusal(new WireBuilder().bytes(2, many(no, 1_000_001)).finish())).toBe(reason);
  });

  test('empty profiles', () => {
    const scope = new WireBuilder().bytes(2, many(2, 65_537)).finish();
    expect(refusal(new WireBuilder().bytes(1, scope).finish())).toBe('profiles_limit');
  });

  test('broken messages: not each of them is looked at', () => {
    const broken = new Uint8Array(3 * 100_000);
    for (let i = 0; i < broken.byteLength; i += 3) broken.set([2 * 8 + 2, 1, 0xff], i);
    const bytes = new WireBuilder().bytes(2, broken).finish();
    expect(refusal(bytes)).toBe('malformed_protobuf');
  });
});
