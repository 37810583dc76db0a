import { INT64_MAX } from '../../base/int64.ts';
import { create, toBinary, type DescMessage } from '@bufbuild/protobuf';
import { TephraError } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';
import {
  DiffResponseSchema,
  LabelsResponseSchema,
  MergeResponseSchema,
  MergeStreamResponseSchema,
  QueryService,
  SeriesResponseSchema,
  TopFunctionsResponseSchema,
  type Selection as SelectionMessage,
  type SeriesRequest as SeriesRequestMessage,
} from '../../gen/tephra/v1/query_pb.ts';
import type { EncodedAnswer, MergeRequest, SeriesPoint } from '../../query/request.ts';
import { NO_NOTES } from './no-notes.ts';
import type { QueryNotes, SeriesRequest } from '../../query/request.ts';
import type { Engine } from '../../shards/engine.ts';
import { exactnessOf, hasMean, int64, meanOf } from './exactness.ts';
import { encodedMerge } from './merge-form.ts';
import { rpcMethod, rpcStream, type AnyRpc, type CallContext } from './method.ts';
import { checkedCallSite, labelsRequest, mergeRequest, nodeBudget } from './selection.ts';

const { method } = QueryService;

/** Functions in a list, unless a request says otherwise; and at most. */
const TOP_DEFAULT = 100;
const TOP_MAX = 100_000;

/** Time that labels are told apart by: whole hours. */
const LABELS_RESOLUTION_MS = 3_600_000;

/** `tephra.v1.QueryService`. */
export function tephraQueryMethods(engine: Engine): AnyRpc[] {
  return [
    rpcMethod(method.merge, async (request, call) => {
      const merge = mergeOf(request.selection, request.maxNodes, call);
      const encoded = await encodedMerge(engine, merge, request.format);
      return { encoded: withRecord(MergeResponseSchema, encoded, merge.profileType) };
    }),

    rpcStream(method.mergeStream, async function* (request, call) {
      const merge = mergeOf(request.selection, request.maxNodes, call);
      const maxNodes = merge.maxNodes ?? LIMITS.flameGraphNodesMax;
      const { nodes, notes, chunks } = await engine.nodes({ ...merge, maxNodes });
      const mean = meanOf(merge.profileType, notes);
      const exactness = exactnessOf(notes);
      yield {
        message: create(MergeStreamResponseSchema, {
          nodeCount: nodes,
          exactness,
          ...(mean === undefined ? {} : { mean }),
        }),
      };
      for await (const bytes of chunks) yield { encoded: { bytes, notes } };
    }),

    rpcMethod(method.diff, async (request, call) => {
      const left = mergeOf(request.left, request.maxNodes, call);
      const right = mergeOf(request.right, request.maxNodes, call);
      const encoded = await engine.diff({ left, right });
      return { encoded: withRecord(DiffResponseSchema, encoded, undefined) };
    }),

    rpcMethod(method.series, async (request, call) => {
      let notes: QueryNotes = NO_NOTES;
      const series = await engine.selectSeries(seriesOf(request, call), (told) => (notes = told));
      const points = series.flatMap((line) => line.points);
      const total = points.reduce((sum, point) => sum + (point.sum ?? 0n), 0n);
      return {
        message: create(SeriesResponseSchema, {
          lines: series.map((line) => ({
            labels: labelsOf(line.labels),
            points: line.points.map(pointMessage),
          })),
          exactness: exactnessOf({
            ...notes,
            total,
            saturated: notes.saturated || total > INT64_MAX,
          }),
        }),
      };
    }),

    rpcMethod(method.topFunctions, async (request, call) => {
      const merge = mergeOf(request.selection, 0n, call);
      if (request.limit > TOP_MAX) {
        const found = `expected 0 to ${TOP_MAX}, found ${request.limit}`;
        throw new TephraError('invalid_argument', `limit: ${found}`);
      }
      const limit = request.limit === 0 ? TOP_DEFAULT : request.limit;
      const encoded = await engine.tree(merge, { kind: 'top', limit });
      return { encoded: withRecord(TopFunctionsResponseSchema, encoded, merge.profileType) };
    }),

    rpcMethod(method.labels, async (request, call) => {
      const { selectors, startMs, endMs, name } = request;
      const asked = labelsRequest({ matchers: selectors, start: startMs, end: endMs }, call);
      let notes: QueryNotes = NO_NOTES;
      const told = (losses: Pick<QueryNotes, 'lostParts' | 'lost'>): void => {
        notes = { ...NO_NOTES, ...losses };
      };
      const names =
        name === ''
          ? await engine.labelNames(asked, told)
          : await engine.labelValues(asked, name, told);
      return {
        message: create(LabelsResponseSchema, {
          names: [...names],
          exactness: exactnessOf(notes, LABELS_RESOLUTION_MS),
        }),
      };
    }),
  ];
}

function mergeOf(
  selection: SelectionMessage | undefined,
  maxNodes: bigint,
  call: CallContext,
): MergeRequest {
  if (selection === undefined) throw new TephraError('invalid_argument', 'selection is required');
  const merge = mergeRequest(
    {
      profileTypeID: selection.profileType,
      labelSelector: selection.selector,
      start: selection.startMs,
      end: selection.endMs,
      profileIdSelector: selection.profileIds,
      spanSelector: selection.spanIds,
      traceIdSelector: selection.traceIds,
    },
    call,
  );
  return {
    ...merge,
    ...(selection.callSite.length === 0 ? {} : { callSite: checkedCallSite(selection.callSite) }),
    maxNodes: nodeBudget(maxNodes),
    countInstants: hasMean(merge.profileType),
  };
}

function seriesOf(request: SeriesRequestMessage, call: CallContext): SeriesRequest {
  const merge = mergeOf(request.selection, 0n, call);
  const { profileIds = [], spanIds = [], traceIds = [], callSite = [] } = merge;
  if (profileIds.length + spanIds.length + traceIds.length > 0) {
    throw new TephraError('unimplemented', 'a timeline of single profiles, spans or traces');
  }
  if (request.exemplars && callSite.length > 0) {
    throw new TephraError('unimplemented', 'exemplars below a call site are not built');
  }
  const stepMs = Number(request.stepMs);
  if (!(stepMs >= 1 && Number.isSafeInteger(stepMs))) {
    throw new TephraError('invalid_step', `expected at least 1 ms, found ${request.stepMs}`);
  }
  const { tenant, selector, startMs, endMs, profileType, signal } = merge;
  return {
    tenant,
    selector,
    startMs,
    endMs,
    profileType,
    signal,
    callSite,
    stepMs,
    groupBy: request.groupBy,
    aggregation: 'sum',
    limit: request.limit === 0 ? undefined : request.limit,
    exemplars: request.exemplars,
  };
}

function pointMessage({ timestampMs, value, sum, profiles, exemplar }: SeriesPoint): object {
  const exact = sum ?? BigInt(Math.round(value));
  return {
    timeMs: BigInt(timestampMs),
    sum: int64(exact),
    profiles: BigInt(profiles ?? 0),
    mean: Number(exact) / (profiles ?? 1),
    ...(exemplar === undefined
      ? {}
      : {
          exemplar: {
            timeMs: BigInt(exemplar.timestampMs),
            profileId: exemplar.profileId,
            value: int64(exemplar.value),
            labels: labelsOf(exemplar.labels),
          },
        }),
  };
}

function labelsOf(
  labels: readonly (readonly [string, string])[],
): { name: string; value: string }[] {
  return labels.map(([name, value]) => ({ name, value }));
}

/** Messages whose last fields are the record and the mean. */
type Recorded =
  | typeof MergeResponseSchema
  | typeof DiffResponseSchema
  | typeof TopFunctionsResponseSchema;

/**
 * The answer with its record: two encodings of one message type after each other are one message. The
 * mean is that of `profileType`, if one is given.
 */
function withRecord(
  desc: Recorded,
  encoded: EncodedAnswer,
  profileType: string | undefined,
): EncodedAnswer {
  const mean = profileType === undefined ? undefined : meanOf(profileType, encoded.notes);
  const record = create(desc as DescMessage, {
    exactness: exactnessOf(encoded.notes),
    ...(mean === undefined ? {} : { mean }),
  });
  const tail = toBinary(desc as DescMessage, record);
  const bytes = new Uint8Array(encoded.bytes.byteLength + tail.byteLength);
  bytes.set(encoded.bytes);
  bytes.set(tail, encoded.bytes.byteLength);
  return { ...encoded, bytes };
}
