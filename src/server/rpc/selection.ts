import { TephraError } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';
import type { StackTraceSelector } from '../../gen/types/v1/types_pb.ts';
import { formatProfileType, parseProfileType } from '../../profile/profile-type.ts';
import type { LabelsRequest, MergeRequest, Selection } from '../../query/request.ts';
import type { CallContext } from './method.ts';

/** Largest time of a JavaScript Date, in ms; times beyond it select nothing that exists. */
const TIME_MAX_MS = 8.64e15;

/** The fields that all questions about data share. */
export interface DataFields {
  readonly profileTypeID: string;
  readonly labelSelector: string;
  readonly start: bigint;
  readonly end: bigint;
}

/** Fields that narrow a merge further. */
export interface NarrowingFields {
  readonly stackTraceSelector?: StackTraceSelector | undefined;
  readonly profileIdSelector?: readonly string[];
  readonly traceIdSelector?: readonly string[];
  readonly spanSelector?: readonly string[];
}

/** Unix ms of an int64, within what a Date can hold. */
export function timeMs(time: bigint): number {
  return Math.max(-TIME_MAX_MS, Math.min(TIME_MAX_MS, Number(time)));
}

/** A range for data. Throws `missing_time_range`, `invalid_time_range`. */
export function timeRange(fields: { readonly start: bigint; readonly end: bigint }): {
  startMs: number;
  endMs: number;
} {
  if (fields.start === 0n || fields.end === 0n) {
    throw new TephraError('missing_time_range', 'missing time range in the query: start, end');
  }
  if (fields.start > fields.end) {
    throw new TephraError('invalid_time_range', `start ${fields.start} is after end ${fields.end}`);
  }
  return { startMs: timeMs(fields.start), endMs: timeMs(fields.end) };
}

/** Which data. Throws also `parse_error` for an empty selector and `invalid_profile_type`. */
export function dataSelection(
  fields: DataFields,
  call: CallContext,
): Selection & { readonly profileType: string } {
  const profileType = formatProfileType(parseProfileType(fields.profileTypeID));
  if (fields.labelSelector === '') {
    throw new TephraError('parse_error', 'the selector is empty; {} matches everything');
  }
  return {
    tenant: call.tenant,
    selector: fields.labelSelector,
    ...timeRange(fields),
    profileType,
    signal: call.signal,
  };
}

/** A merge. Throws `invalid_max_nodes`, and `unimplemented` for what would narrow it further. */
export function mergeRequest(
  fields: DataFields & NarrowingFields & { readonly maxNodes?: bigint | undefined },
  call: CallContext,
): MergeRequest {
  refuseNarrowing(fields);
  return { ...dataSelection(fields, call), maxNodes: nodeBudget(fields.maxNodes) };
}

/** A question about labels. */
export function labelsRequest(
  fields: {
    readonly matchers: readonly string[];
    readonly start: bigint;
    readonly end: bigint;
  },
  call: CallContext,
): LabelsRequest {
  const { tenant, signal } = call;
  return { tenant, selectors: fields.matchers, ...timeRange(fields), signal };
}

/**
 * A selector that is ignored gives silently wrong data, so those that are not built are refused.
 * Throws `unimplemented`.
 */
export function refuseNarrowing(fields: NarrowingFields): void {
  const used = [
    ['call_site', fields.stackTraceSelector?.callSite.length],
    ['go_pgo', fields.stackTraceSelector?.goPgo === undefined ? 0 : 1],
    ['profile_id_selector', fields.profileIdSelector?.length],
    ['trace_id_selector', fields.traceIdSelector?.length],
    ['span_selector', fields.spanSelector?.length],
  ] as const;
  for (const [name, count] of used) {
    if (count !== undefined && count > 0) {
      throw new TephraError('unimplemented', `${name} is not built yet`);
    }
  }
}

function nodeBudget(maxNodes: bigint | undefined): number | undefined {
  if (maxNodes === undefined || maxNodes === 0n) return undefined;
  if (maxNodes < 0n || maxNodes > BigInt(LIMITS.flameGraphNodesMax)) {
    throw new TephraError(
      'invalid_max_nodes',
      `expected 0 to ${LIMITS.flameGraphNodesMax}, found ${maxNodes}`,
    );
  }
  return Number(maxNodes);
}
