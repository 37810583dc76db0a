import { create } from '@bufbuild/protobuf';
import { TephraError } from '../../base/errors.ts';
import type { Metrics } from '../../base/metrics.ts';
import { PusherService, PushResponseSchema, type PushRequest } from '../../gen/push/v1/push_pb.ts';
import type { PushItem, PushOutcome } from '../../ingest/push.ts';
import type { Engine } from '../../shards/engine.ts';
import { rpcMethod, type CallContext, type RpcMethod } from './method.ts';

/** `push.v1.PusherService`. */
export function pushMethods(engine: Engine, metrics: Metrics): RpcMethod[] {
  return [
    rpcMethod(PusherService.method.push, async (request, call) => {
      const items = pushItems(request, call);
      if (items.length === 0) throw new TephraError('empty_request', 'no profiles received');
      const outcomes = await engine.push(items);
      countOutcomes(metrics, items, outcomes);
      const refusal = refusalOf(outcomes);
      if (refusal !== undefined) throw refusal;
      return { message: create(PushResponseSchema) };
    }),
  ];
}

/** Counts what became of the items of one request. */
export function countOutcomes(
  metrics: Metrics,
  items: readonly PushItem[],
  outcomes: readonly PushOutcome[],
): void {
  items.forEach((item, index) => {
    const outcome = outcomes[index];
    const name = outcome?.outcome === 'refused' ? outcome.error.reason : outcome?.outcome;
    metrics.profiles.inc({ surface: item.surface, outcome: name ?? 'internal' });
    metrics.profileBytes.inc({ surface: item.surface }, item.payload.byteLength);
  });
}

/**
 * The answer to a batch of which a part was refused, undefined if none was: the code of the first
 * refusal and a message that counts them and tells which one it was, because the response has no field for it.
 */
export function refusalOf(outcomes: readonly PushOutcome[]): TephraError | undefined {
  const byOutcome = outcomes.map(asRefusal);
  const refusals = byOutcome.filter((refusal) => refusal !== undefined);
  const first = foremost(refusals);
  if (first === undefined) return undefined;
  if (outcomes.length === 1) return first;
  const counted = countedRefusals(refusals, outcomes.length);
  const number = byOutcome.indexOf(first) + 1;
  return new TephraError(first.reason, `${counted}; number ${number}: ${first.detail}`);
}

/**
 * The refusal that stands for all, undefined for none: the first, or the first that may pass later, or the client would
 * drop what it should send again.
 */
export function foremost(refusals: readonly TephraError[]): TephraError | undefined {
  return refusals.find(({ row }) => row.retry) ?? refusals[0];
}

/** How many of so many profiles were refused, by reason. */
export function countedRefusals(refusals: readonly TephraError[], profiles: number): string {
  const counts = new Map<string, number>();
  for (const { reason } of refusals) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  const reasons = [...counts].map(([reason, count]) => `${count} x ${reason}`).join(', ');
  const others = refusals.length === profiles ? '' : ', the others are stored';
  return `${refusals.length} of ${profiles} profiles were refused (${reasons})${others}`;
}

function asRefusal(outcome: PushOutcome): TephraError | undefined {
  switch (outcome.outcome) {
    case 'refused':
      return TephraError.from(outcome.error);
    case 'empty':
      return new TephraError('empty_profile', 'the profile has no samples');
    default:
      return undefined;
  }
}

function pushItems(request: PushRequest, call: CallContext): PushItem[] {
  return request.series.flatMap((series) => {
    const labels = series.labels.map(({ name, value }) => [name, value] as const);
    return series.samples.map((sample) => ({
      tenant: call.tenant,
      labels,
      profileId: sample.ID,
      format: 'pprof' as const,
      surface: 'push' as const,
      payload: sample.rawProfile,
      arrivalMs: call.arrivalMs,
    }));
  });
}
