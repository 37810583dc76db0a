import { create } from '@bufbuild/protobuf';
import { TephraError } from '../../base/errors.ts';
import {
  HeatmapQueryType,
  SelectHeatmapResponseSchema,
  SelectSeriesResponseSchema,
  type SelectHeatmapRequest,
  type SelectHeatmapResponse,
  type SelectSeriesRequest,
  type SelectSeriesResponse,
} from '../../gen/querier/v1/querier_pb.ts';
import { ExemplarType, TimeSeriesAggregationType } from '../../gen/types/v1/types_pb.ts';
import type { Label } from '../../profile/labels.ts';
import type {
  Exemplar,
  HeatAnswer,
  HeatShape,
  SeriesAnswer,
  SeriesRequest,
} from '../../query/request.ts';
import { int64 } from './exactness.ts';
import type { CallContext } from './method.ts';
import { callSiteOf, dataSelection, refuseGoPgo, type DataFields } from './selection.ts';

/** A timeline. Throws `invalid_step`, `invalid_argument`, and `unimplemented` for what is not built. */
export function seriesRequest(request: SelectSeriesRequest, call: CallContext): SeriesRequest {
  refuseGoPgo(request.stackTraceSelector);
  const callSite = callSiteOf(request.stackTraceSelector);
  const exemplars = exemplarsOf(request.exemplarType) === 'profiles';
  if (request.exemplarType === ExemplarType.SPAN) {
    throw new TephraError('unimplemented', 'exemplars of spans are given by SelectHeatmap only');
  }
  if (exemplars && callSite.length > 0) {
    throw new TephraError('unimplemented', 'exemplars below a call site are not built');
  }
  return {
    ...timeline(request, call),
    aggregation: aggregationOf(request.aggregation),
    ...(callSite.length === 0 ? {} : { callSite }),
    ...(exemplars ? { exemplars } : {}),
  };
}

/** A heat map. Throws as {@link seriesRequest} does. */
export function heatmapRequest(
  request: SelectHeatmapRequest,
  call: CallContext,
): SeriesRequest & { readonly heat: HeatShape } {
  const of = countedOf(request.queryType);
  const exemplars = exemplarsOf(request.exemplarType);
  if (exemplars !== undefined && exemplars !== of) {
    throw new TephraError(
      'invalid_argument',
      `exemplar_type asks for ${exemplars}, query_type for ${of}`,
    );
  }
  return {
    ...timeline(request, call),
    aggregation: 'sum',
    heat: { of },
    ...(exemplars === undefined ? {} : { exemplars: true }),
  };
}

/** The answer to a timeline. */
export function seriesMessage(answers: readonly SeriesAnswer[]): SelectSeriesResponse {
  return create(SelectSeriesResponseSchema, {
    series: answers.map(({ labels, points }) => ({
      labels: labelPairs(labels),
      points: points.map(({ timestampMs, value, exemplar }) => ({
        timestamp: BigInt(timestampMs),
        value,
        exemplars: exemplar === undefined ? [] : [exemplarMessage(exemplar)],
      })),
    })),
  });
}

/** The answer to a heat map. */
export function heatmapMessage(groups: readonly HeatAnswer[]): SelectHeatmapResponse {
  return create(SelectHeatmapResponseSchema, {
    series: groups.map(({ labels, slots }) => ({
      labels: labelPairs(labels),
      slots: slots.map(({ timestampMs, bounds, counts, exemplars }) => ({
        timestamp: BigInt(timestampMs),
        yMin: [...bounds],
        counts: [...counts],
        exemplars: exemplars.map(exemplarMessage),
      })),
    })),
  });
}

/** Labels as messages have them. */
export function labelPairs(labels: readonly Label[]): { name: string; value: string }[] {
  return labels.map(([name, value]) => ({ name, value }));
}

interface TimelineFields extends DataFields {
  readonly step: number;
  readonly groupBy: string[];
  readonly limit?: bigint | undefined;
}

function timeline(
  request: TimelineFields,
  call: CallContext,
): Omit<SeriesRequest, 'aggregation' | 'heat'> {
  const selection = dataSelection(request, call);
  // Seconds as a double: rounded, because 15.001 s is 15000.999... ms.
  const stepMs = Math.round(request.step * 1_000);
  if (!(request.step >= 0.001 && Number.isSafeInteger(stepMs))) {
    throw new TephraError(
      'invalid_step',
      `expected seconds, at least 0.001, found ${request.step}`,
    );
  }
  const limit = Number(request.limit ?? 0n);
  if (limit < 0) throw new TephraError('invalid_argument', `limit is negative: ${limit}`);
  return {
    ...selection,
    stepMs,
    groupBy: request.groupBy,
    limit: limit === 0 ? undefined : limit,
  };
}

function aggregationOf(type: TimeSeriesAggregationType | undefined): SeriesRequest['aggregation'] {
  switch (type) {
    case undefined:
    case TimeSeriesAggregationType.SUM:
      return 'sum';
    case TimeSeriesAggregationType.AVERAGE:
      return 'average';
    default:
      throw new TephraError('unimplemented', `aggregation ${String(type)} is not known`);
  }
}

function countedOf(type: HeatmapQueryType): HeatShape['of'] {
  switch (type) {
    case HeatmapQueryType.UNSPECIFIED:
    case HeatmapQueryType.INDIVIDUAL:
      return 'profiles';
    case HeatmapQueryType.SPAN:
      return 'spans';
    default:
      throw new TephraError('unimplemented', `query_type ${String(type)} is not known`);
  }
}

function exemplarsOf(type: ExemplarType): HeatShape['of'] | undefined {
  switch (type) {
    case ExemplarType.UNSPECIFIED:
    case ExemplarType.NONE:
      return undefined;
    case ExemplarType.INDIVIDUAL:
      return 'profiles';
    case ExemplarType.SPAN:
      return 'spans';
    default:
      throw new TephraError('unimplemented', `exemplar_type ${String(type)} is not known`);
  }
}

function exemplarMessage(exemplar: Exemplar): object {
  return {
    timestamp: BigInt(exemplar.timestampMs),
    profileId: exemplar.profileId,
    spanId: exemplar.spanId ?? '',
    traceId: exemplar.traceId ?? '',
    value: int64(exemplar.value),
    labels: labelPairs(exemplar.labels),
  };
}
