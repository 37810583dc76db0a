import { badForm, toIngestError } from './error.ts';
import type { HttpAnswer } from './http-post.ts';
import { unixMs, type Time } from './selection.ts';

/** A profile as a tool wrote it into a file. */
export interface FileProfile {
  /** Whose it is: letters, digits, `_ . - /`. */
  readonly service: string;
  /** Further labels; neither names nor values hold `{`, `}` or a comma, names no `=` and no space. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /**
   * `pprof`, gzip or not, whose sample types name the family (`process_cpu`, `memory`, …); or `folded`:
   * lines `main;parse 12`.
   */
  readonly format: 'pprof' | 'folded';
  /** What folded text counts: `cpu` (default), `wall`, `alloc_space`, `lock_duration`, … */
  readonly type?: string | undefined;
  /** Samples a second behind the counts of folded text, which makes time of them; default 100. */
  readonly sampleRateHz?: number | undefined;
  /** When it began; default: the time in the payload, else the arrival. */
  readonly start?: Time | undefined;
  /** When it ended; default: as the payload says. */
  readonly end?: Time | undefined;
  /** Name of the program that sends it; the label `pyroscope_spy`. Default `tephradb`. */
  readonly sender?: string | undefined;
  readonly payload: Uint8Array;
}

/** Path and query of the request that stores a profile. Throws {@link TephraClientError}. */
export function ingestPath(profile: FileProfile, nowMs: number): string {
  const { service, labels = {}, format, type = 'cpu', sampleRateHz, start, end, sender } = profile;
  if (!/^[a-zA-Z0-9_.\-/]+$/.test(service)) {
    throw badForm('service', 'letters, digits, _ . - and /', service);
  }
  const pairs = Object.entries(labels).map(([name, value]) => {
    if (/^[^={},\s]+$/.test(name) && !/[{},]/.test(value)) return `${name}=${value}`;
    throw badForm('labels', 'no braces and no commas', `${name}=${value}`);
  });
  const folded = format === 'folded';
  const query = new URLSearchParams({
    // The part after the last dot names the type of folded text.
    name: `${service}${folded ? `.${type}` : ''}{${pairs.join(',')}}`,
    format: folded ? 'groups' : 'pprof',
    spyName: sender ?? 'tephradb',
  });
  // 13 digits: milliseconds.
  const digits = (name: string, time: Time): string =>
    String(unixMs(name, time, nowMs)).padStart(13, '0');
  if (start !== undefined) query.set('from', digits('start', start));
  if (end !== undefined) query.set('until', digits('end', end));
  if (sampleRateHz !== undefined) query.set('sampleRate', String(sampleRateHz));
  return `/ingest?${query.toString()}`;
}

/** Nothing if the answer says that the profile is stored. Throws {@link TephraClientError}. */
export function checkStored(answer: HttpAnswer): void {
  if (answer.status !== 200) throw toIngestError(answer);
}
