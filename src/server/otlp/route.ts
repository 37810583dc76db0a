import type { IncomingMessage } from 'node:http';
import { toBinary, toJsonString } from '@bufbuild/protobuf';
import { TephraError } from '../../base/errors.ts';
import { ExportProfilesServiceResponseSchema } from '../../gen/opentelemetry/proto/collector/profiles/v1development/profiles_service_pb.ts';
import { readInflated, type BodyRules } from '../body/body.ts';
import type { Route } from '../http/routes.ts';
import { ANONYMOUS, type RunDeps } from '../rpc/run.ts';
import type { OtlpReceiver } from './receive.ts';
import { exportResponse } from './response.ts';
import { statusJson, statusMessage } from './status-message.ts';

/** What the route needs. */
export interface OtlpRouteDeps extends RunDeps, BodyRules {
  readonly otlp: OtlpReceiver;
}

const JSON_TYPE = 'application/json';
const PROTOBUF_TYPES = ['application/x-protobuf', 'application/protobuf'];
/** What senders of OTLP send again; every other status is the end of the data. */
const RETRYABLE = new Set([429, 502, 503, 504]);

/** `POST /v1development/profiles`: profiles by OTLP over HTTP, in protobuf or JSON. */
export function otlpRoute(deps: OtlpRouteDeps): Route {
  return {
    method: 'POST',
    errorStatus: otlpHttpStatus,
    errorBody: (request, error) =>
      PROTOBUF_TYPES.includes(mediaType(request))
        ? { contentType: mediaType(request), body: statusMessage(error) }
        : { contentType: JSON_TYPE, body: statusJson(error) },
    async handle(request) {
      const contentType = mediaType(request);
      const isJson = contentType === JSON_TYPE;
      if (!isJson && !PROTOBUF_TYPES.includes(contentType)) {
        const expected = [...PROTOBUF_TYPES, JSON_TYPE].join(', ');
        throw new TephraError(
          'unsupported_media_type',
          `${JSON.stringify(contentType.slice(0, 64))}; read are ${expected}`,
        );
      }
      const { bytes, hold } = await readInflated(request, deps, ['gzip']);
      try {
        const call = { tenant: ANONYMOUS, arrivalMs: deps.clock.nowMs() };
        const answer = exportResponse(await deps.otlp.receive(bytes, isJson, call));
        const body = isJson
          ? toJsonString(ExportProfilesServiceResponseSchema, answer)
          : toBinary(ExportProfilesServiceResponseSchema, answer);
        return { status: 200, body, contentType };
      } finally {
        hold.release();
      }
    },
  };
}

/** HTTP status for senders of OTLP: what may pass later has one that they send again. */
function otlpHttpStatus({ reason, row }: TephraError): number {
  if (row.http === 422) return 400;
  return row.retry && reason !== 'internal' && !RETRYABLE.has(row.http) ? 503 : row.http;
}

/** The content type without its parameters. */
function mediaType(request: IncomingMessage): string {
  return (request.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}
