import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { TephraError } from '../base/errors.ts';
import { parseTime } from '../base/parse-time.ts';
import { formatProfileType, parseProfileType } from '../profile/profile-type.ts';
import type { Engine } from '../shards/engine.ts';
import { answerBytes, answerSlices } from './answer.ts';
import { gzipped } from './large-answer.ts';
import type { Route } from './routes.ts';
import { ANONYMOUS, type RunDeps } from './rpc/run.ts';

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
    async handle(_request, query, signal) {
      const nowMs = deps.clock.nowMs();
      const startMs = parseTime(one(query, 'from') ?? FROM_DEFAULT, nowMs);
      const endMs = parseTime(one(query, 'until') ?? UNTIL_DEFAULT, nowMs);
      if (startMs > endMs) throw new TephraError('invalid_time_range', 'from is after until');
      const { profileType, selector } = parseQuery(one(query, 'query'));
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

function one(query: URLSearchParams, key: string): string | undefined {
  const values = query.getAll(key);
  if (values.length > 1) throw new TephraError('invalid_argument', `${key} is given twice`);
  return values[0] === '' ? undefined : values[0];
}

/**
 * `type{labels}`, or a selector in which `__profile_type__="..."` names the type. The matcher stays in the
 * selector, so that another one beside it is not ignored.
 */
function parseQuery(text: string | undefined): { profileType: string; selector: string } {
  if (text === undefined) {
    throw new TephraError('invalid_argument', 'query is required: type{labels}');
  }
  const open = text.indexOf('{');
  const type = (open < 0 ? text : text.slice(0, open)).trim();
  const selector = open < 0 ? '{}' : text.slice(open);
  if (type !== '') return { profileType: formatProfileType(parseProfileType(type)), selector };
  const named = /[{,]\s*__profile_type__\s*=\s*"([^"\\]*)"/.exec(selector)?.[1];
  if (named === undefined) {
    throw new TephraError(
      'invalid_argument',
      'query: expected a profile type in front of {, or __profile_type__="..." within',
    );
  }
  return { profileType: formatProfileType(parseProfileType(named)), selector };
}
