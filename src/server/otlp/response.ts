import { create } from '@bufbuild/protobuf';
import {
  type ExportProfilesServiceResponse,
  ExportProfilesServiceResponseSchema,
} from '../../gen/opentelemetry/proto/collector/profiles/v1development/profiles_service_pb.ts';
import type { OtlpOutcome } from './receive.ts';

/** The answer; `partial_success` is unset where all was stored. */
export function exportResponse({ rejected, message }: OtlpOutcome): ExportProfilesServiceResponse {
  return create(
    ExportProfilesServiceResponseSchema,
    rejected === 0
      ? {}
      : { partialSuccess: { rejectedProfiles: BigInt(rejected), errorMessage: message } },
  );
}
