import { create } from '@bufbuild/protobuf';
import { TephraError } from '../../base/errors.ts';
import {
  ProfileFormat,
  ProfileTypesResponseSchema,
  QuerierService,
  SelectSeriesResponseSchema,
  SeriesResponseSchema,
  type SelectSeriesRequest,
} from '../../gen/querier/v1/querier_pb.ts';
import {
  ExemplarType,
  LabelNamesResponseSchema,
  LabelsSchema,
  LabelValuesResponseSchema,
  ProfileTypeSchema,
  SeriesSchema,
  TimeSeriesAggregationType,
} from '../../gen/types/v1/types_pb.ts';
import type { Label } from '../../profile/labels.ts';
import { parseProfileType } from '../../profile/profile-type.ts';
import type { SeriesRequest } from '../../query/request.ts';
import type { Engine } from '../../shards/engine.ts';
import { rpcMethod, type CallContext, type RpcMethod } from './method.ts';
import {
  dataSelection,
  labelsRequest,
  mergeRequest,
  refuseNarrowing,
  timeMs,
} from './selection.ts';

const { method } = QuerierService;

/** `querier.v1.QuerierService`: translates messages to calls of the engine and back. */
export function querierMethods(engine: Engine): RpcMethod[] {
  return [
    rpcMethod(method.profileTypes, async ({ start, end }, call) => {
      // Health checks ask for 1970 or for nothing: any range is answered.
      const range = { startMs: timeMs(start), endMs: timeMs(end) };
      const ids =
        range.startMs > range.endMs
          ? []
          : await engine.profileTypes({ tenant: call.tenant, selectors: [], ...range });
      return {
        message: create(ProfileTypesResponseSchema, { profileTypes: ids.map(profileTypeMessage) }),
      };
    }),

    rpcMethod(method.labelNames, async (request, call) => {
      const names = await engine.labelNames(labelsRequest(request, call));
      const shown = names.filter((name) => isShown(name, call));
      return { message: create(LabelNamesResponseSchema, { names: shown }) };
    }),

    rpcMethod(method.labelValues, async (request, call) => {
      if (request.name === '') throw new TephraError('invalid_argument', 'name is required');
      const values = await engine.labelValues(labelsRequest(request, call), request.name);
      return { message: create(LabelValuesResponseSchema, { names: [...values] }) };
    }),

    rpcMethod(method.series, async (request, call) => {
      const sets = await engine.series(labelsRequest(request, call), request.labelNames);
      const labelsSet = sets.map((labels) =>
        create(LabelsSchema, {
          labels: labelPairs(labels.filter(([name]) => isShown(name, call))),
        }),
      );
      return { message: create(SeriesResponseSchema, { labelsSet }) };
    }),

    rpcMethod(method.selectSeries, async (request, call) => {
      const answers = await engine.selectSeries(seriesRequest(request, call));
      const series = answers.map((answer) =>
        create(SeriesSchema, {
          labels: labelPairs(answer.labels),
          points: answer.points.map(({ timestampMs, value }) => ({
            timestamp: BigInt(timestampMs),
            value,
          })),
        }),
      );
      return { message: create(SelectSeriesResponseSchema, { series }) };
    }),

    rpcMethod(method.selectMergeStacktraces, async (request, call) => {
      if (
        request.format !== ProfileFormat.UNSPECIFIED &&
        request.format !== ProfileFormat.FLAMEGRAPH
      ) {
        throw new TephraError('unimplemented', `format ${request.format} is not built yet`);
      }
      return { encoded: await engine.flameGraph(mergeRequest(request, call)) };
    }),

    rpcMethod(method.selectMergeProfile, async (request, call) => ({
      encoded: await engine.pprof({ ...mergeRequest(request, call), maxNodes: undefined }),
    })),

    rpcMethod(method.diff, async (request, call) => {
      if (request.left === undefined || request.right === undefined) {
        throw new TephraError('invalid_argument', 'left and right are required');
      }
      const left = mergeRequest(request.left, call);
      const right = mergeRequest(request.right, call);
      if (left.profileType !== right.profileType) {
        throw new TephraError(
          'incompatible_profiles',
          `left is ${left.profileType}, right is ${right.profileType}`,
        );
      }
      return { encoded: await engine.diff({ left, right }) };
    }),

    rpcMethod(method.selectMergeSpanProfile, () => notBuilt('SelectMergeSpanProfile')),
    rpcMethod(method.selectHeatmap, () => notBuilt('SelectHeatmap')),
    rpcMethod(method.getProfileStats, () => notBuilt('GetProfileStats')),
    rpcMethod(method.analyzeQuery, () => notBuilt('AnalyzeQuery')),
  ];
}

function seriesRequest(request: SelectSeriesRequest, call: CallContext): SeriesRequest {
  const selection = dataSelection(request, call);
  refuseNarrowing(request);
  if (request.exemplarType === ExemplarType.SPAN) {
    throw new TephraError('unimplemented', 'exemplars of spans are not built yet');
  }
  // Seconds as a double: rounded, because 15.001 s is 15000.999... ms.
  const stepMs = Math.round(request.step * 1_000);
  if (!(stepMs >= 1 && Number.isSafeInteger(stepMs))) {
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
    aggregation: request.aggregation === TimeSeriesAggregationType.AVERAGE ? 'average' : 'sum',
    limit: limit === 0 ? undefined : limit,
  };
}

function profileTypeMessage(id: string): ReturnType<typeof create<typeof ProfileTypeSchema>> {
  const { name, type, unit, periodType, periodUnit } = parseProfileType(id);
  return create(ProfileTypeSchema, {
    ID: id,
    name,
    sampleType: type,
    sampleUnit: unit,
    periodType,
    periodUnit,
  });
}

function labelPairs(labels: readonly Label[]): { name: string; value: string }[] {
  return labels.map(([name, value]) => ({ name, value }));
}

/** Clients that do not say that they read UTF-8 names must not see them. */
function isShown(name: string, call: CallContext): boolean {
  return call.utf8LabelNames || /^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name);
}

function notBuilt(name: string): Promise<never> {
  return Promise.reject(new TephraError('unimplemented', `${name} is not built yet`));
}
