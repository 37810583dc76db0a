import { create } from '@bufbuild/protobuf';
import { TephraError } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';
import { DAY_MS } from '../../base/time.ts';
import {
  AnalyzeQueryResponseSchema,
  ProfileFormat,
  ProfileTypesResponseSchema,
  QuerierService,
  SeriesResponseSchema,
  type AnalyzeQueryRequest,
  type AnalyzeQueryResponse,
} from '../../gen/querier/v1/querier_pb.ts';
import {
  GetProfileStatsResponseSchema,
  LabelNamesResponseSchema,
  LabelsSchema,
  LabelValuesResponseSchema,
  ProfileTypeSchema,
} from '../../gen/types/v1/types_pb.ts';
import { formatProfileType, parseProfileType } from '../../profile/profile-type.ts';
import type { LossNotes } from '../../query/losses.ts';
import type { EncodedAnswer, QueryNotes, TierCost } from '../../query/request.ts';
import type { Engine } from '../../shards/engine.ts';
import { rpcMethod, type CallContext, type RpcMethod } from './method.ts';
import { isExact } from './encoded.ts';
import { encodedMerge } from './merge-form.ts';
import {
  goPgoOf,
  labelsRequest,
  mergeRequest,
  refuseGoPgo,
  timeMs,
  timeRange,
  type DataFields,
  type NarrowingFields,
} from './selection.ts';
import {
  heatmapMessage,
  heatmapRequest,
  labelPairs,
  seriesMessage,
  seriesRequest,
} from './timeline.ts';

const { method } = QuerierService;

/** `querier.v1.QuerierService`: translates messages to calls of the engine and back. */
export function querierMethods(engine: Engine): RpcMethod[] {
  return [
    rpcMethod(method.profileTypes, async ({ start, end }, call) => {
      // Health checks ask for 1970: any range is answered. Editors of older Grafana say none at all.
      const range =
        start === 0n && end === 0n
          ? { startMs: call.arrivalMs - DAY_MS, endMs: call.arrivalMs + LIMITS.futureMs }
          : { startMs: timeMs(start), endMs: timeMs(end) };
      const told = new Told();
      const ids =
        range.startMs > range.endMs
          ? []
          : await engine.profileTypes(
              { tenant: call.tenant, selectors: [], ...range, signal: call.signal },
              told.sink,
            );
      return {
        ...told.reply,
        message: create(ProfileTypesResponseSchema, { profileTypes: ids.map(profileTypeMessage) }),
      };
    }),

    rpcMethod(method.labelNames, async (request, call) => {
      const told = new Told();
      const names = await engine.labelNames(labelsRequest(request, call), told.sink);
      const shown = names.filter((name) => isShown(name, call));
      return { ...told.reply, message: create(LabelNamesResponseSchema, { names: shown }) };
    }),

    rpcMethod(method.labelValues, async (request, call) => {
      if (request.name === '') throw new TephraError('invalid_argument', 'name is required');
      const told = new Told();
      const range = labelsRequest(request, call);
      const values = await engine.labelValues(range, request.name, told.sink);
      return { ...told.reply, message: create(LabelValuesResponseSchema, { names: [...values] }) };
    }),

    rpcMethod(method.series, async (request, call) => {
      const told = new Told();
      const range = labelsRequest(request, call);
      const sets = await engine.series(range, request.labelNames, told.sink);
      const labelsSet = sets.map((labels) =>
        create(LabelsSchema, {
          labels: labelPairs(labels.filter(([name]) => isShown(name, call))),
        }),
      );
      return { ...told.reply, message: create(SeriesResponseSchema, { labelsSet }) };
    }),

    rpcMethod(method.selectSeries, async (request, call) => {
      const told = new Told();
      const answers = await engine.selectSeries(seriesRequest(request, call), told.notes);
      return { ...told.reply, message: seriesMessage(answers) };
    }),

    rpcMethod(method.selectMergeStacktraces, async (request, call) => ({
      encoded: await merged(engine, request, request.format, call),
    })),

    rpcMethod(method.selectMergeSpanProfile, async (request, call) => {
      const { format } = request;
      if (request.spanSelector.length === 0) {
        throw new TephraError('invalid_argument', 'span_selector is required');
      }
      if (format === ProfileFormat.DOT || format === ProfileFormat.PPROF) {
        throw new TephraError(
          'invalid_argument',
          `format ${format}: expected a flame graph or tree`,
        );
      }
      // Flame graph and tree have the same field numbers here as in the other answer.
      return { encoded: await merged(engine, request, format, call) };
    }),

    rpcMethod(method.selectMergeProfile, async (request, call) => {
      const merge = mergeRequest(request, call);
      const goPgo = goPgoOf(request.stackTraceSelector);
      return { encoded: await engine.pprof({ ...merge, goPgo, maxNodes: undefined }) };
    }),

    rpcMethod(method.diff, async (request, call) => {
      if (request.left === undefined || request.right === undefined) {
        throw new TephraError('invalid_argument', 'left and right are required');
      }
      refuseGoPgo(request.left.stackTraceSelector);
      refuseGoPgo(request.right.stackTraceSelector);
      const left = mergeRequest(request.left, call);
      const right = mergeRequest(request.right, call);
      if (left.profileType !== right.profileType) {
        throw new TephraError(
          'incompatible_profiles',
          `left is ${left.profileType}, right is ${right.profileType}`,
        );
      }
      // One tree has both sides: the larger budget of those that are given.
      const budgets = [left, right].flatMap(({ maxNodes }) => maxNodes ?? []);
      const maxNodes = budgets.length === 0 ? undefined : Math.max(...budgets);
      return { encoded: await engine.diff({ left: { ...left, maxNodes }, right }) };
    }),

    rpcMethod(method.selectHeatmap, async (request, call) => {
      const told = new Told();
      const groups = await engine.heatmap(heatmapRequest(request, call), told.notes);
      return { ...told.reply, message: heatmapMessage(groups) };
    }),

    rpcMethod(method.getProfileStats, async (_request, call) => {
      const stats = await engine.profileStats(call.tenant);
      return {
        message: create(GetProfileStatsResponseSchema, {
          dataIngested: stats.hasProfiles,
          oldestProfileTime: BigInt(stats.oldestMs),
          newestProfileTime: BigInt(stats.newestMs),
        }),
      };
    }),

    rpcMethod(method.analyzeQuery, async (request, call) => ({
      message: await analyzed(engine, request, call),
    })),
  ];
}

/** Keeps what an answer lacks; one that lacks nothing goes without a word. */
class Told {
  reply: { readonly losses?: LossNotes } = {};
  readonly sink = (losses: LossNotes): void => {
    if (losses.lostParts > 0) this.reply = { losses };
  };
  readonly notes = (notes: QueryNotes): void => {
    if (!isExact(notes)) this.reply = { losses: notes };
  };
}

/** A merge by function names or frames, as a `querier.v1.SelectMergeStacktracesResponse`. */
function merged(
  engine: Engine,
  request: DataFields & NarrowingFields & { readonly maxNodes?: bigint | undefined },
  format: ProfileFormat,
  call: CallContext,
): Promise<EncodedAnswer> {
  const merge = mergeRequest(request, call);
  if (format !== ProfileFormat.PPROF) refuseGoPgo(request.stackTraceSelector);
  return encodedMerge(engine, merge, format, goPgoOf(request.stackTraceSelector));
}

async function analyzed(
  engine: Engine,
  request: AnalyzeQueryRequest,
  call: CallContext,
): Promise<AnalyzeQueryResponse> {
  // `type{labels}` or a selector alone.
  const open = request.query.indexOf('{');
  const type = open < 0 ? request.query : request.query.slice(0, open);
  const profileType = type.trim() === '' ? undefined : formatProfileType(parseProfileType(type));
  const selector = open < 0 ? '{}' : request.query.slice(open);
  if (request.query === '') throw new TephraError('parse_error', 'the query is empty');
  const { tenant, signal } = call;
  const range = timeRange(request);
  const cost = await engine.queryCost({ tenant, selector, ...range, signal, profileType });
  const scope = (componentType: string, tier: TierCost): object => ({
    componentType,
    componentCount: BigInt(cost.shards),
    blockCount: BigInt(tier.blocks),
    seriesCount: BigInt(tier.series),
    profileCount: BigInt(tier.profiles),
    indexBytes: BigInt(tier.indexBytes),
    profileBytes: BigInt(tier.columnBytes),
    symbolBytes: BigInt(tier.symbolBytes),
  });
  const bytes = [cost.minutes, cost.raw].reduce(
    (sum, { indexBytes, columnBytes, symbolBytes }) => sum + indexBytes + columnBytes + symbolBytes,
    0,
  );
  return create(AnalyzeQueryResponseSchema, {
    queryScopes: [scope('minutes', cost.minutes), scope('raw', cost.raw)],
    queryImpact: {
      totalBytesInTimeRange: BigInt(bytes),
      totalQueriedSeries: BigInt(cost.minutes.series + cost.raw.series),
    },
  });
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

/** Clients that do not say that they read UTF-8 names must not see them. */
function isShown(name: string, call: CallContext): boolean {
  return call.utf8LabelNames || /^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name);
}
