import { create } from '@bufbuild/protobuf';
import { TephraError } from '../../base/errors.ts';
import type { Metrics } from '../../base/metrics.ts';
import {
  IngestService,
  PushOutcome,
  PushResponseSchema,
  type PushProfile,
} from '../../gen/tephra/v1/ingest_pb.ts';
import type { PushItem, PushOutcome as Outcome } from '../../ingest/push.ts';
import type { Engine } from '../../shards/engine.ts';
import { rpcMethod, type CallContext, type RpcMethod } from './method.ts';
import { countOutcomes } from './push.ts';

/** `tephra.v1.IngestService`. */
export function tephraIngestMethods(engine: Engine, metrics: Metrics): RpcMethod[] {
  return [
    rpcMethod(IngestService.method.push, async ({ profiles }, call) => {
      if (profiles.length === 0) throw new TephraError('empty_request', 'no profiles received');
      const items = profiles.map((profile) => pushItem(profile, call));
      const accepted = items.filter((item): item is PushItem => !(item instanceof TephraError));
      const outcomes = accepted.length === 0 ? [] : await engine.push(accepted);
      countOutcomes(metrics, accepted, outcomes);
      let next = 0;
      const results = items.map((item) =>
        item instanceof TephraError ? refused(item) : resultOf(outcomes[next++]),
      );
      return { message: create(PushResponseSchema, { results }) };
    }),
  ];
}

/** The item, or why it is none: what is wrong with one profile does not touch the others. */
function pushItem(profile: PushProfile, call: CallContext): PushItem | TephraError {
  const { payload, startMs, endMs } = profile;
  if (payload.case === undefined) {
    return new TephraError('empty_request', 'the profile has no payload');
  }
  if (startMs < 0n || endMs < 0n || (endMs !== 0n && endMs < startMs)) {
    return new TephraError('invalid_time_range', `start_ms ${startMs}, end_ms ${endMs}`);
  }
  if (endMs !== 0n && startMs === 0n) {
    return new TephraError('invalid_time_range', 'end_ms without start_ms');
  }
  return {
    tenant: call.tenant,
    labels: profile.labels.map(({ name, value }) => [name, value] as const),
    profileId: profile.id,
    fromMs: startMs === 0n ? undefined : Number(startMs),
    untilMs: endMs === 0n ? undefined : Number(endMs),
    format: payload.case,
    surface: 'tephra',
    payload: payload.value,
    arrivalMs: call.arrivalMs,
  };
}

function resultOf(outcome: Outcome | undefined): object {
  switch (outcome?.outcome) {
    case 'stored':
      return { outcome: PushOutcome.STORED, entries: BigInt(outcome.entries) };
    case 'duplicate':
      return { outcome: PushOutcome.DUPLICATE };
    case 'empty':
      return { outcome: PushOutcome.EMPTY };
    case 'refused':
      if (outcome.error.reason === 'empty_profile') return { outcome: PushOutcome.EMPTY };
      return refused(TephraError.from(outcome.error));
    default:
      return refused(new TephraError('internal', 'the engine gave no outcome'));
  }
}

function refused(error: TephraError): object {
  const { reason, detail, row } = error;
  const message = reason === 'internal' ? 'a bug in Tephra; its log has more' : detail;
  return { outcome: PushOutcome.REFUSED, reason, message, retryable: row.retry };
}
