import { Metadata } from '@grpc/grpc-js';
import type { TephraError } from '../../base/errors.ts';
import { statusMessage } from '../otlp/status-message.ts';
import { errorHeaders, publicMessage, statusNumber } from '../answer/status.ts';

/** An error as grpc-js takes it; `isDetailed`: with a `google.rpc.Status`, as senders of OTLP expect. */
export function grpcStatus(
  error: TephraError,
  isDetailed = false,
): {
  code: number;
  details: string;
  metadata: Metadata;
} {
  const metadata = grpcMetadata(errorHeaders(error));
  if (isDetailed) metadata.set('grpc-status-details-bin', Buffer.from(statusMessage(error)));
  return { code: statusNumber(error), details: publicMessage(error), metadata };
}

/** Fields as metadata. */
export function grpcMetadata(fields: Record<string, string>): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(fields)) metadata.set(name, value);
  return metadata;
}
