import { TephraError } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';
import type { StackTraceSelector } from '../../gen/types/v1/types_pb.ts';
import { formatProfileType, parseProfileType } from '../../profile/profile-type.ts';
import type {
  GoPgoShape,
  LabelsRequest,
  MergeRequest,
  Narrowing,
  Selection,
} from '../../query/request.ts';
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

/**
 * A merge. Throws `invalid_max_nodes`, and `invalid_argument` for what would narrow it and is malformed.
 */
export function mergeRequest(
  fields: DataFields & NarrowingFields & { readonly maxNodes?: bigint | undefined },
  call: CallContext,
): MergeRequest {
  return {
    ...dataSelection(fields, call),
    ...narrowing(fields),
    maxNodes: nodeBudget(fields.maxNodes),
  };
}

/**
 * What narrows a merge. A selector that is ignored gives silently wrong data, so all are honoured or
 * refused. Throws `invalid_argument`.
 */
function narrowing(fields: NarrowingFields): Narrowing {
  const { stackTraceSelector, profileIdSelector, spanSelector, traceIdSelector } = fields;
  const spanIds = hexIds('span id', spanSelector, 16);
  const traceIds = hexIds('trace id', traceIdSelector, 32);
  if (spanIds.length > 0 && traceIds.length > 0) {
    throw new TephraError('invalid_argument', 'span ids and trace ids cannot be asked together');
  }
  return {
    callSite: orAll(callSiteOf(stackTraceSelector)),
    profileIds: orAll(checkedProfileIds(profileIdSelector)),
    spanIds: orAll(spanIds),
    traceIds: orAll(traceIds),
  };
}

/** Function names of a call site, root first; go_pgo takes its place. Throws `invalid_argument`. */
export function callSiteOf(selector: StackTraceSelector | undefined): string[] {
  if (selector === undefined || selector.goPgo !== undefined) return [];
  return checkedCallSite(selector.callSite.map(({ name }) => name));
}

/** The names if there are not too many of them. Throws `invalid_argument`. */
export function checkedCallSite(names: readonly string[]): string[] {
  if (names.length > LIMITS.callSiteFramesMax) {
    throw new TephraError(
      'invalid_argument',
      `call_site: expected at most ${LIMITS.callSiteFramesMax} functions, found ${names.length}`,
    );
  }
  return [...names];
}

/** Shape for profile-guided optimisation, undefined if it is not asked for. */
export function goPgoOf(selector: StackTraceSelector | undefined): GoPgoShape | undefined {
  const pgo = selector?.goPgo;
  if (pgo === undefined) return undefined;
  return { keepLocations: pgo.keepLocations, aggregateCallees: pgo.aggregateCallees };
}

/** Shaping for profile-guided optimisation needs lines, which only pprof has. Throws `invalid_argument`. */
export function refuseGoPgo(selector: StackTraceSelector | undefined): void {
  if (selector?.goPgo === undefined) return;
  throw new TephraError('invalid_argument', 'go_pgo: expected the format pprof');
}

/** An empty list asks for everything. */
function orAll<T>(list: readonly T[]): readonly T[] | undefined {
  return list.length === 0 ? undefined : list;
}

function hexIds(what: string, ids: readonly string[] | undefined, digits: number): string[] {
  const form = new RegExp(`^[0-9a-f]{${digits}}$`, 'i');
  checkCount(what, ids);
  return (ids ?? []).map((id) => {
    if (!form.test(id)) {
      const found = JSON.stringify(id.slice(0, 64));
      throw new TephraError(
        'invalid_argument',
        `${what}: expected ${digits} hex digits, found ${found}`,
      );
    }
    return id.toLowerCase();
  });
}

function checkedProfileIds(ids: readonly string[] | undefined): string[] {
  checkCount('profile id', ids);
  for (const id of ids ?? []) {
    if (id === '' || id.length > LIMITS.labelValueBytesMax) {
      const found = JSON.stringify(id.slice(0, 64));
      throw new TephraError(
        'invalid_argument',
        `profile id: expected a short text, found ${found}`,
      );
    }
  }
  return [...(ids ?? [])];
}

function checkCount(what: string, ids: readonly string[] | undefined): void {
  const count = ids?.length ?? 0;
  if (count <= LIMITS.idsPerQueryMax) return;
  throw new TephraError(
    'invalid_argument',
    `${what}s: expected at most ${LIMITS.idsPerQueryMax}, found ${count}`,
  );
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

/** A node budget, undefined for 0. Throws `invalid_max_nodes`. */
export function nodeBudget(maxNodes: bigint | undefined): number | undefined {
  if (maxNodes === undefined || maxNodes === 0n) return undefined;
  if (maxNodes < 0n || maxNodes > BigInt(LIMITS.flameGraphNodesMax)) {
    throw new TephraError(
      'invalid_max_nodes',
      `expected 0 to ${LIMITS.flameGraphNodesMax}, found ${maxNodes}`,
    );
  }
  return Number(maxNodes);
}
