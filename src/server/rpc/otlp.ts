import { ProfilesService } from '../../gen/opentelemetry/proto/collector/profiles/v1development/profiles_service_pb.ts';
import type { OtlpReceiver } from '../otlp/receive.ts';
import { exportResponse } from '../otlp/response.ts';
import { bytesMethod, type RpcMethod } from './method.ts';

/** `opentelemetry.proto.collector.profiles.v1development.ProfilesService`. */
export function otlpMethods(otlp: OtlpReceiver): RpcMethod[] {
  return [
    bytesMethod(ProfilesService.method.export, async ({ bytes, isJson }, call) => ({
      message: exportResponse(await otlp.receive(bytes, isJson, call)),
    })),
  ];
}
