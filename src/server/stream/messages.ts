import { create, toBinary } from '@bufbuild/protobuf';
import { ByteWriter } from '../../base/bytes.ts';
import { TephraError } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';
import {
  StreamRequestSchema,
  StreamResponseSchema,
  type StreamOpen,
  type StreamRequest,
} from '../../gen/tephra/v1/stream_pb.ts';
import type {
  StreamOpened,
  StreamOpening,
  StreamRefused,
  StreamReport,
} from '../../ingest/stream/messages.ts';
import type { Label } from '../../profile/labels.ts';
import { requestKind, SEQUENCE_END } from '../../profile/stream/batch.ts';
import { FieldError } from '../../profile/stream/field-error.ts';
import { decodeMessage } from '../body/rpc-body.ts';

/** Version of the protocol that is spoken. */
export const STREAM_VERSION = 1;

const INSTANCE_BYTES = 16;

/** How much may be sent and not settled. */
export interface StreamWindow {
  readonly batches: number;
  readonly bytes: number;
}

/**
 * The first message. Throws `stream_order`, `unsupported_version`, `malformed_open`,
 * `malformed_protobuf`; what is wrong with the labels is told by `labelsOf`.
 */
export function readOpen(
  bytes: Uint8Array,
  call: number,
  tenant: string,
  labelsOf: (labels: readonly Label[]) => readonly Label[],
): StreamOpening {
  if (requestKind(bytes) === 'batch') {
    throw new FieldError('stream_order', 'batch', 'the first message must be open');
  }
  const { message } = decodeMessage(StreamRequestSchema, bytes) as StreamRequest;
  if (message.case !== 'open') {
    throw new FieldError('stream_order', 'message', 'the first message must be open');
  }
  const open = message.value;
  if (open.version !== STREAM_VERSION) {
    const text = `${open.version}: expected ${STREAM_VERSION}`;
    throw new FieldError('unsupported_version', 'open.version', text);
  }
  checkOpen(open);
  let labels: readonly Label[];
  try {
    labels = labelsOf(open.labels.map(({ name, value }) => [name, value] as const));
  } catch (thrown) {
    throw FieldError.of(thrown, 'open.labels');
  }
  return {
    call,
    tenant,
    labels,
    instance: open.instance.slice(),
    firstSequence: Number(open.firstSequence),
    lastSequence: Number(open.lastSequence),
    epoch: open.epoch,
  };
}

function checkOpen({ instance, agent, firstSequence, lastSequence }: StreamOpen): void {
  const wrong = (field: string, text: string): never => {
    throw new FieldError('malformed_open', `open.${field}`, text);
  };
  if (instance.byteLength !== INSTANCE_BYTES) {
    wrong('instance', `${instance.byteLength} bytes: expected ${INSTANCE_BYTES}`);
  }
  if (instance.every((byte) => byte === 0)) wrong('instance', 'all bytes are zero');
  if (Buffer.byteLength(agent) > LIMITS.streamAgentBytesMax) {
    wrong('agent', `more than ${LIMITS.streamAgentBytesMax} bytes`);
  }
  const end = BigInt(SEQUENCE_END);
  if (firstSequence < 1n || firstSequence >= end) {
    wrong('first_sequence', `${firstSequence}: expected 1 to 2^48 - 1`);
  }
  if (lastSequence < firstSequence - 1n || lastSequence >= end) {
    wrong('last_sequence', `${lastSequence}: expected at least first_sequence - 1`);
  }
  if (lastSequence - firstSequence >= BigInt(LIMITS.streamUnsettledMax)) {
    const text = `${lastSequence - firstSequence + 1n} from first_sequence on: at most ${LIMITS.streamUnsettledMax}`;
    wrong('last_sequence', text);
  }
}

/** Bytes of a `StreamWelcome` as a response. */
export function welcomeBytes(opened: StreamOpened, window: StreamWindow): Uint8Array {
  const { settled, epoch, rows, limits } = opened;
  return toBinary(
    StreamResponseSchema,
    create(StreamResponseSchema, {
      message: {
        case: 'welcome',
        value: {
          version: STREAM_VERSION,
          settled: BigInt(settled),
          epoch,
          rows,
          window: { batches: window.batches, bytes: BigInt(window.bytes) },
          limits: {
            rows: limits.rows,
            textBytes: BigInt(limits.textBytes),
            messageBytes: BigInt(LIMITS.streamMessageBytesMax),
            parts: limits.parts,
            entries: limits.entries,
          },
        },
      },
    }),
  );
}

/** What was not told yet. */
export interface PendingAck {
  settled: number;
  refused: StreamRefused[];
  refusedUnlisted: number;
  epochEnd: StreamReport['epochEnd'];
}

/** Bytes of a `StreamAck` as a response. */
export function ackBytes(ack: PendingAck, window: StreamWindow): Uint8Array {
  const { epochEnd } = ack;
  if (ack.refused.length === 0 && ack.refusedUnlisted === 0 && epochEnd === undefined) {
    return plainAckBytes(ack.settled, window);
  }
  return toBinary(
    StreamResponseSchema,
    create(StreamResponseSchema, {
      message: {
        case: 'ack',
        value: {
          settled: BigInt(ack.settled),
          window: { batches: window.batches, bytes: BigInt(window.bytes) },
          refused: ack.refused.map(({ sequence, field, error }) => ({
            sequence: BigInt(sequence),
            reason: error.reason,
            field,
            message: error.detail,
          })),
          refusedUnlisted: ack.refusedUnlisted,
          ...(epochEnd === undefined
            ? {}
            : {
                epochEnd: {
                  epoch: epochEnd.epoch,
                  reason: epochEnd.error.reason,
                  message: TephraError.from(epochEnd.error).detail,
                },
              }),
        },
      },
    }),
  );
}

/** The ack that says no more than how far all is settled, as `toBinary` encodes it: one for each bundle. */
function plainAckBytes(settled: number, { batches, bytes }: StreamWindow): Uint8Array {
  const inner = new ByteWriter(16);
  if (batches > 0) inner.u8(WINDOW_BATCHES).varint(batches);
  if (bytes > 0) inner.u8(WINDOW_BYTES).varint(bytes);
  const ack = new ByteWriter(32);
  if (settled > 0) ack.u8(ACK_SETTLED).varint(settled);
  ack.u8(ACK_WINDOW).block(inner.view());
  return new ByteWriter(48).u8(RESPONSE_ACK).block(ack.view()).finish();
}

/** Tags of `StreamResponse.ack`, of `StreamAck` and of its window. */
const RESPONSE_ACK = (2 << 3) | 2;
const ACK_SETTLED = 1 << 3;
const ACK_WINDOW = (2 << 3) | 2;
const WINDOW_BATCHES = 1 << 3;
const WINDOW_BYTES = 2 << 3;
