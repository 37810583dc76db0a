import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { TephraError } from '../../base/errors.ts';
import { parseTime } from '../../base/parse-time.ts';
import type { Engine } from '../../shards/engine.ts';
import { answerBytes, answerSlices } from '../answer/answer.ts';
import { gzipped } from '../answer/large-answer.ts';
import { oneParameter, parseTypedQuery } from './query-parameters.ts';
import type { Route } from './routes.ts';
import { ANONYMOUS, type RunDeps } from '../rpc/run.ts';

const gzipAsync = promisify(gzip);

/** What the route needs. */
export interface PprofDeps extends RunDeps {
  readonly engine: Engine;
}

/** Range of a request that says nothing about time. */
const FROM_DEFAULT = 'now-1h';
const UNTIL_DEFAULT = 'now';

/**
 * `GET /pprof?query=<type>{labels}&from=&until=`: the merged profile as gzip pprof, as
 * `go tool pprof URL` reads it. Times are those of `parseTime`; `seconds`, which that tool adds, is
 * ignored. Throws `invalid_argument`, `invalid_profile_type`, `invalid_time`, `invalid_time_range`.
 */
export function pprofRoute(deps: PprofDeps): Route {
  return {
    method: 'GET',
    isQuery: true,
    async handle(_request, query, signal) {
      const nowMs = deps.clock.nowMs();
      const startMs = parseTime(oneParameter(query, 'from') ?? FROM_DEFAULT, nowMs);
      const endMs = parseTime(oneParameter(query, 'until') ?? UNTIL_DEFAULT, nowMs);
      if (startMs > endMs) throw new TephraError('invalid_time_range', 'from is after until');
      const { profileType, selector } = parseTypedQuery(oneParameter(query, 'query'));
      const asked = { tenant: ANONYMOUS, selector, startMs, endMs, profileType, signal };
      const answer = await deps.engine.pprof(asked);
      const { bytes, front } = answer;
      return {
        status: 200,
        body:
          front === undefined
            ? await gzipAsync(bytes)
            : { byteLength: answerBytes(answer), front, slices: gzipped(answerSlices(answer)) },
        contentType: 'application/octet-stream',
      };
    },
  };
}
