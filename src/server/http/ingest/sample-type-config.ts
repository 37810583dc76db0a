import { TephraError } from '../../../base/errors.ts';
import { LIMITS } from '../../../base/limits.ts';

/**
 * Display names by sample type, from the part `sample_type_config` of a form: JSON such as
 * `{"contentions":{"display-name":"mutex_count","units":"lock_samples"}}`. They decide `__name__`, as
 * `mutex_count` tells mutex contentions from those of blocking. The other settings (units, aggregation,
 * sampled, cumulative) describe how to show values and change nothing that is stored. Undefined without
 * the part. Throws `invalid_argument`.
 *
 * Source: https://grafana.com/docs/pyroscope/latest/reference-server-api/ (ingest).
 */
export function displayNamesOf(part: Uint8Array | undefined): Map<string, string> | undefined {
  if (part === undefined) return undefined;
  const config = parsed(part);
  const entries = Object.entries(config);
  if (entries.length > LIMITS.sampleTypesPerProfileMax) {
    fail(`more than ${LIMITS.sampleTypesPerProfileMax} sample types`);
  }
  const names = new Map<string, string>();
  for (const [type, settings] of entries) {
    if (typeof settings !== 'object' || settings === null || Array.isArray(settings)) {
      fail(`${shown(type)} is no object`);
    }
    const name = (settings as Record<string, unknown>)['display-name'];
    if (name === undefined || name === null || name === '') continue;
    if (typeof name !== 'string') fail(`display-name of ${shown(type)} is no text`);
    else names.set(type, name);
  }
  return names;
}

function parsed(part: Uint8Array): object {
  let config: unknown;
  try {
    config = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(part));
  } catch {
    fail('it is no JSON');
  }
  if (typeof config !== 'object' || config === null || Array.isArray(config)) {
    fail('it is no JSON object');
  }
  return config;
}

function fail(why: string): never {
  throw new TephraError('invalid_argument', `sample_type_config: ${why}`);
}

function shown(text: string): string {
  return JSON.stringify(text.slice(0, 64));
}
