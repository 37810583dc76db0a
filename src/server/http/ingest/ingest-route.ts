import type { IncomingMessage } from 'node:http';
import { TephraError, type Reason } from '../../../base/errors.ts';
import type { PushItem } from '../../../ingest/push.ts';
import type { Engine } from '../../../shards/engine.ts';
import { readInflated, type BodyRules } from '../../body/body.ts';
import { ingestSeries } from './labels.ts';
import { bodyFormat, parseIngestParameters } from './parameters.ts';
import { parseMultipart } from './multipart.ts';
import { displayNamesOf } from './sample-type-config.ts';
import type { Route, RouteAnswer } from '../routes.ts';
import { countOutcomes, refusalOf } from '../../rpc/push.ts';
import { ANONYMOUS, type RunDeps } from '../../rpc/run.ts';

/** What ingest needs. */
export interface IngestDeps extends RunDeps, BodyRules {
  readonly engine: Engine;
}

/** What is wrong with the body itself: 422 here, where requests that were built wrongly are 400. */
const UNPROCESSABLE: ReadonlySet<Reason> = new Set<Reason>([
  'empty_request',
  'unsupported_format',
  'malformed_protobuf',
  'malformed_gzip',
  'nested_compression',
  'nesting_too_deep',
  'invalid_utf8',
]);

/** Clients accept exactly this: not 202, not 204. */
const STORED: RouteAnswer = { status: 200, body: '' };

/** `POST /ingest`: one profile, pprof or folded text, raw or as part `profile` of a form. */
export function ingestRoute(deps: IngestDeps): Route {
  return {
    method: 'POST',
    errorStatus: (error) => (UNPROCESSABLE.has(error.reason) ? 422 : error.row.http),
    async handle(request, query) {
      const { bytes, hold } = await readInflated(request, deps, ['gzip', 'deflate']);
      try {
        const item = ingestItem(request, query, bytes, deps);
        const outcomes = await deps.engine.push([item]);
        countOutcomes(deps.metrics, [item], outcomes);
        const refusal = refusalOf(outcomes);
        if (refusal !== undefined) throw refusal;
        return STORED;
      } finally {
        hold.release();
      }
    },
  };
}

function ingestItem(
  request: IncomingMessage,
  query: URLSearchParams,
  bytes: Uint8Array,
  deps: IngestDeps,
): PushItem {
  const contentType = request.headers['content-type'] ?? '';
  const arrivalMs = deps.clock.nowMs();
  const parameters = parseIngestParameters(query, arrivalMs);
  const form = /^multipart\/form-data/i.test(contentType)
    ? parseMultipart(bytes, contentType)
    : undefined;
  // Any form with a part `profile` is pprof, whatever `format` says.
  const format = form === undefined ? bodyFormat(parameters.format, contentType) : 'pprof';
  return {
    tenant: ANONYMOUS,
    ...ingestSeries(parameters.name, parameters.spyName, format),
    profileId: '',
    fromMs: parameters.fromMs,
    untilMs: parameters.untilMs,
    format,
    surface: 'ingest',
    sampleRateHz: parameters.sampleRateHz,
    payload: form === undefined ? bytes : profilePart(form),
    displayNames: displayNamesOf(form?.get('sample_type_config')),
    arrivalMs,
  };
}

function profilePart(form: ReadonlyMap<string, Uint8Array>): Uint8Array {
  if (form.has('prev_profile')) {
    throw new TephraError('unsupported_format', 'pairs of cumulative profiles are not read');
  }
  const profile = form.get('profile');
  if (profile !== undefined) return profile;
  const why = form.has('jfr')
    ? 'format jfr is not read yet; send pprof as part profile'
    : 'the form has no part named profile';
  throw new TephraError('unsupported_format', why);
}
