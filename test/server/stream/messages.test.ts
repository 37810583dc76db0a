import { expect, test } from '@jest/globals';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { StreamResponseSchema } from '../../../src/gen/tephra/v1/stream_pb.ts';
import { ackBytes } from '../../../src/server/stream/messages.ts';

test('the ack that is written by hand is what the schema writes', () => {
  const count = fc.oneof(fc.nat(300), fc.integer({ min: 0, max: 2 ** 31 }));
  fc.assert(
    fc.property(
      fc.oneof(fc.nat(300), fc.integer({ min: 0, max: 2 ** 48 - 1 })),
      count,
      count,
      (settled, batches, bytes) => {
        const ack = { settled, refused: [], refusedUnlisted: 0, epochEnd: undefined };
        const written = ackBytes(ack, { batches, bytes });
        const expected = create(StreamResponseSchema, {
          message: {
            case: 'ack',
            value: { settled: BigInt(settled), window: { batches, bytes: BigInt(bytes) } },
          },
        });
        expect(written).toEqual(toBinary(StreamResponseSchema, expected));
      },
    ),
  );
});

test('an ack with refusals keeps them', () => {
  const error = { reason: 'stream_limit', detail: 'too many' } as const;
  const ack = {
    settled: 3,
    refused: [{ sequence: 2, field: 'parts', error }],
    refusedUnlisted: 1,
    epochEnd: undefined,
  };
  const { message } = fromBinary(StreamResponseSchema, ackBytes(ack, { batches: 1, bytes: 1 }));
  expect(message).toMatchObject({
    case: 'ack',
    value: { settled: 3n, refused: [{ sequence: 2n, field: 'parts' }], refusedUnlisted: 1 },
  });
});
