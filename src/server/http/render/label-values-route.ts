import { TephraError } from '../../../base/errors.ts';
import { parseTime } from '../../../base/parse-time.ts';
import type { LabelsRequest, LossSink } from '../../../query/request.ts';
import { oneParameter } from '../query-parameters.ts';
import type { Route } from '../routes.ts';
import { lossHeaders } from '../../rpc/encoded.ts';
import { ANONYMOUS } from '../../rpc/run.ts';
import type { RenderDeps } from './render-route.ts';

/** Range of a request that says nothing about time: all that is stored. */
const START_MS = 0;
const END_MS = 8.64e15;

/**
 * `GET /pyroscope/label-values?label=&query=&from=&until=`: the values of a label, or of `__name__` the
 * profile type ids, as a JSON array. Throws `invalid_argument`, `invalid_time`, `invalid_time_range`.
 */
export function labelValuesRoute(deps: RenderDeps): Route {
  return {
    method: 'GET',
    isQuery: true,
    async handle(_request, query, signal) {
      const label = oneParameter(query, 'label');
      if (label === undefined) throw new TephraError('invalid_argument', 'label is required');
      const nowMs = deps.clock.nowMs();
      const time = (key: string, otherwise: number): number => {
        const text = oneParameter(query, key);
        return text === undefined ? otherwise : parseTime(text, nowMs);
      };
      const startMs = time('from', START_MS);
      const endMs = time('until', END_MS);
      if (startMs > endMs) throw new TephraError('invalid_time_range', 'from is after until');
      const selector = oneParameter(query, 'query');
      const selectors = selector === undefined ? [] : [selector];
      const asked: LabelsRequest = { tenant: ANONYMOUS, selectors, startMs, endMs, signal };
      let headers: Record<string, string> = {};
      const told: LossSink = (losses) => {
        if (losses.lostParts > 0) headers = lossHeaders(losses);
      };
      const values =
        label === '__name__'
          ? await deps.engine.profileTypes(asked, told)
          : await deps.engine.labelValues(asked, label, told);
      const body = JSON.stringify(values);
      return { status: 200, body, contentType: 'application/json', headers };
    },
  };
}
