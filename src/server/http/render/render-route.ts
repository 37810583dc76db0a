import { fromBinary } from '@bufbuild/protobuf';
import {
  ProfileFormat,
  SelectMergeStacktracesResponseSchema,
} from '../../../gen/querier/v1/querier_pb.ts';
import type { MergeRequest, QueryNotes } from '../../../query/request.ts';
import type { Engine } from '../../../shards/engine.ts';
import { wholeAnswer } from '../../answer/answer.ts';
import type { Route, RouteAnswer } from '../routes.ts';
import { isExact, replyNotes } from '../../rpc/encoded.ts';
import { encodedMerge } from '../../rpc/merge-form.ts';
import type { RunDeps } from '../../rpc/run.ts';
import { flamebearerAnswer, metadataOf } from './flamebearer.ts';
import { formatOf, mergeOf, refuseTimeline, timelineShape } from './parameters.ts';
import { timelineMembers, timelineRequest } from './timeline.ts';

/** What the legacy queries need. */
export interface RenderDeps extends RunDeps {
  readonly engine: Engine;
}

const KEYS = { query: 'query', from: 'from', until: 'until' };

/**
 * `GET /pyroscope/render?query=<type>{labels}&from=&until=`: the merged flame graph as flamebearer JSON
 * with its timeline, or as DOT. Throws `invalid_argument` and what {@link mergeOf} throws.
 */
export function renderRoute(deps: RenderDeps): Route {
  return {
    method: 'GET',
    isQuery: true,
    async handle(_request, query, signal) {
      const merge = mergeOf(query, KEYS, deps.clock.nowMs(), signal);
      if (formatOf(query, ['json', 'dot']) === 'dot') {
        refuseTimeline(query);
        return dot(deps.engine, merge);
      }
      const asked = timelineRequest(merge, timelineShape(query));
      let told: QueryNotes | undefined;
      const lines = await deps.engine.selectSeries(asked, (notes) => {
        told = notes;
      });
      // Last: it may lie on disk, and whoever has it must close it.
      const answer = await deps.engine.flameGraph(merge);
      // The timeline reads a step more than the merge does.
      const lacking = told !== undefined && !isExact(told) && isExact(answer.notes);
      return flamebearerAnswer(
        lacking ? { ...answer, notes: told ?? answer.notes } : answer,
        metadataOf(merge.profileType, 'single'),
        timelineMembers(lines, asked),
      );
    },
  };
}

async function dot(engine: Engine, merge: MergeRequest): Promise<RouteAnswer> {
  const answer = await encodedMerge(engine, merge, ProfileFormat.DOT);
  const { bytes } = await wholeAnswer(answer);
  return {
    status: 200,
    body: fromBinary(SelectMergeStacktracesResponseSchema, bytes).dot,
    contentType: 'text/vnd.graphviz; charset=utf-8',
    headers: replyNotes({ encoded: answer }),
  };
}
