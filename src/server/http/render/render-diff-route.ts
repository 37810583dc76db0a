import { TephraError } from '../../../base/errors.ts';
import type { Route } from '../routes.ts';
import { flamebearerAnswer, metadataOf } from './flamebearer.ts';
import { formatOf, mergeOf, refuseTimeline } from './parameters.ts';
import type { RenderDeps } from './render-route.ts';

const LEFT = { query: 'leftQuery', from: 'leftFrom', until: 'leftUntil' };
const RIGHT = { query: 'rightQuery', from: 'rightFrom', until: 'rightUntil' };

/**
 * `GET /pyroscope/render-diff?leftQuery=&leftFrom=&leftUntil=&rightQuery=...`: two merges of one profile
 * type, compared, as flamebearer JSON. Throws `incompatible_profiles`, `invalid_argument` and what
 * {@link mergeOf} throws.
 */
export function renderDiffRoute(deps: RenderDeps): Route {
  return {
    method: 'GET',
    isQuery: true,
    async handle(_request, query, signal) {
      formatOf(query, ['json']);
      refuseTimeline(query);
      const nowMs = deps.clock.nowMs();
      const left = mergeOf(query, LEFT, nowMs, signal);
      const right = mergeOf(query, RIGHT, nowMs, signal);
      const { profileType } = left;
      if (profileType !== right.profileType) {
        const found = `left is ${profileType}, right is ${right.profileType}`;
        throw new TephraError('incompatible_profiles', found);
      }
      const answer = await deps.engine.diff({ left, right });
      return flamebearerAnswer(answer, metadataOf(profileType, 'double'));
    },
  };
}
