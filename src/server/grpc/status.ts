import { Metadata } from '@grpc/grpc-js';
import type { TephraError } from '../../base/errors.ts';
import { errorHeaders, publicMessage, statusNumber } from '../answer/status.ts';

/** An error as grpc-js takes it. */
export function grpcStatus(error: TephraError): {
  code: number;
  details: string;
  metadata: Metadata;
} {
  return {
    code: statusNumber(error),
    details: publicMessage(error),
    metadata: grpcMetadata(errorHeaders(error)),
  };
}

/** Fields as metadata. */
export function grpcMetadata(fields: Record<string, string>): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(fields)) metadata.set(name, value);
  return metadata;
}
