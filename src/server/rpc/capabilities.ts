import { create } from '@bufbuild/protobuf';
import {
  FeatureFlagsService,
  GetFeatureFlagsResponseSchema,
} from '../../gen/capabilities/v1/feature_flags_pb.ts';
import { Version, VersionResponseSchema } from '../../gen/version/v1/version_pb.ts';
import { rpcMethod, type RpcMethod } from './method.ts';

/** The generation of `querier.v1` that clients of today expect. */
const QUERIER_API = 1n;

/** `version.v1.Version` and `capabilities.v1.FeatureFlagsService`: no flag is on. */
export function capabilityMethods(): RpcMethod[] {
  return [
    rpcMethod(Version.method.version, () =>
      Promise.resolve({ message: create(VersionResponseSchema, { QuerierAPI: QUERIER_API }) }),
    ),
    rpcMethod(FeatureFlagsService.method.getFeatureFlags, () =>
      Promise.resolve({ message: create(GetFeatureFlagsResponseSchema) }),
    ),
  ];
}
