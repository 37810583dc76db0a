import { TephraError } from '../../../base/errors.ts';
import { parseTime } from '../../../base/parse-time.ts';
import type { ProfileFormat } from '../../../ingest/push.ts';

/** Query parameters of `POST /ingest`; the others that agents send do not matter here. */
export interface IngestParameters {
  /** `app.name{k=v}` as sent. */
  readonly name: string;
  readonly fromMs: number | undefined;
  readonly untilMs: number | undefined;
  /** As sent, '' if it was not. */
  readonly format: string;
  readonly sampleRateHz: number;
  readonly spyName: string;
}

const SAMPLE_RATE_DEFAULT_HZ = 100;

/** Formats that are known and not read yet. */
const NOT_BUILT = new Set(['jfr', 'trie', 'tree', 'speedscope']);

/**
 * Reads the parameters. Throws `invalid_argument`, `invalid_time`, `invalid_time_range`.
 *
 * Source: https://grafana.com/docs/pyroscope/latest/reference-server-api/ (ingest).
 */
export function parseIngestParameters(query: URLSearchParams, nowMs: number): IngestParameters {
  const one = (key: string): string | undefined => {
    const values = query.getAll(key);
    if (values.length > 1) throw new TephraError('invalid_argument', `${key} is given twice`);
    return values[0] === '' ? undefined : values[0];
  };
  const name = one('name');
  if (name === undefined) throw new TephraError('invalid_argument', 'name is required');
  const time = (key: string): number | undefined => {
    const text = one(key);
    return text === undefined ? undefined : parseTime(text, nowMs);
  };
  const fromMs = time('from');
  const untilMs = time('until');
  if (fromMs !== undefined && untilMs !== undefined && fromMs > untilMs) {
    throw new TephraError('invalid_time_range', 'from is after until');
  }
  return {
    name,
    fromMs,
    untilMs,
    format: one('format') ?? '',
    sampleRateHz: sampleRate(one('sampleRate')),
    spyName: one('spyName') ?? 'unknown',
  };
}

/** Format of a body that is no form, by the parameter and the content type. Throws `unsupported_format`. */
export function bodyFormat(format: string, contentType: string): ProfileFormat {
  const name = /^binary\/octet-stream\+(trie|tree)$/.exec(contentType)?.[1] ?? format;
  if (NOT_BUILT.has(name)) {
    const why = `format ${name} is not read yet; send pprof or folded text`;
    throw new TephraError('unsupported_format', why);
  }
  if (name === 'pprof') return 'pprof';
  // Agents send words of their own for folded text, so any other word means that.
  return name === 'lines' ? 'lines' : 'folded';
}

function sampleRate(text: string | undefined): number {
  const rate = Number(text ?? Number.NaN);
  return rate > 0 && rate <= 1e9 ? rate : SAMPLE_RATE_DEFAULT_HZ;
}
