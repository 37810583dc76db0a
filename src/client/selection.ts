import type { MessageInitShape } from '@bufbuild/protobuf';
import { TephraError } from '../base/errors.ts';
import { parseTime } from '../base/parse-time.ts';
import type { SelectionSchema } from '../gen/tephra/v1/query_pb.ts';
import type { CallOptions } from './caller.ts';
import { refuseArgument } from './error.ts';

/**
 * A time: Unix milliseconds, a Date, or text such as `now-1h`, `2026-08-01T12:00:00Z` or Unix time
 * (seconds, ms, us, ns by its digits).
 */
export type Time = number | Date | string;

/** A range of time, both ends inclusive. */
export interface TimeRange {
  /** Default `now-1h`. */
  readonly from?: Time | undefined;
  /** Default `now`. */
  readonly to?: Time | undefined;
}

/** Which profiles. All conditions hold together. */
export interface Selection extends TimeRange {
  /** Five parts: `process_cpu:cpu:nanoseconds:cpu:nanoseconds`. */
  readonly profileType: string;
  /** PromQL vector selector; default `{}`, everything. */
  readonly selector?: string | undefined;
  /** Function names, root first: only stacks that begin with exactly these. */
  readonly callSite?: readonly string[] | undefined;
  readonly profileIds?: readonly string[] | undefined;
  /** 16 hex digits each; not together with traces. */
  readonly spanIds?: readonly string[] | undefined;
  /** 32 hex digits each. */
  readonly traceIds?: readonly string[] | undefined;
}

/** How many nodes an answer may have. */
export interface NodeOptions extends CallOptions {
  /** Ties aside; the rest is folded into nodes `other`. */
  readonly maxNodes?: number | undefined;
}

/** Which series a question about labels looks at. */
export interface LabelsSelection extends TimeRange {
  /** Any of them may match; none = everything. */
  readonly selectors?: readonly string[] | undefined;
}

/** How to sum over time. */
export interface SeriesOptions extends CallOptions {
  /** Between two points, in milliseconds; the point at t covers (t - step, t]. */
  readonly stepMs: number;
  /** Label names; none = one line. */
  readonly groupBy?: readonly string[] | undefined;
  /** Lines, the largest sums; default all. */
  readonly limit?: number | undefined;
  /** Name one profile behind each point. */
  readonly exemplars?: boolean | undefined;
}

/** A range in Unix ms as messages hold it. Throws {@link TephraClientError}. */
export function rangeMessage(
  range: TimeRange,
  nowMs: number,
): { readonly startMs: bigint; readonly endMs: bigint } {
  return {
    startMs: unixMs('from', range.from ?? 'now-1h', nowMs),
    endMs: unixMs('to', range.to ?? 'now', nowMs),
  };
}

/** A selection as a message. Throws {@link TephraClientError}. */
export function selectionMessage(
  selection: Selection,
  nowMs: number,
): MessageInitShape<typeof SelectionSchema> {
  return {
    profileType: selection.profileType,
    selector: selection.selector ?? '{}',
    callSite: [...(selection.callSite ?? [])],
    profileIds: [...(selection.profileIds ?? [])],
    spanIds: [...(selection.spanIds ?? [])],
    traceIds: [...(selection.traceIds ?? [])],
    ...rangeMessage(selection, nowMs),
  };
}

/** A time in whole Unix ms. Throws {@link TephraClientError}. */
export function unixMs(name: string, time: Time, nowMs: number): bigint {
  if (typeof time === 'string') {
    try {
      return BigInt(Math.floor(parseTime(time, nowMs)));
    } catch (error) {
      throw refuseArgument(`${name}: ${TephraError.from(error).detail}`);
    }
  }
  const ms = typeof time === 'number' ? time : time.getTime();
  if (!Number.isFinite(ms)) throw refuseArgument(`${name}: expected a time, found ${String(time)}`);
  return BigInt(Math.floor(ms));
}
