import { TephraError } from '../base/errors.ts';
import type { ProfileFormat } from '../ingest/push.ts';
import type { Label } from '../profile/labels.ts';

/** Series labels of a profile on `/ingest`. */
export function ingestLabels(name: string, spyName: string, _format: ProfileFormat): Label[] {
  const match = /^([^{}]+)(?:\{([^{}]*)\})?$/.exec(name);
  const app = match?.[1];
  if (app === undefined) throw new TephraError('invalid_argument', 'name is not app{k=v,...}');
  const labels: Label[] = [];
  for (const pair of (match?.[2] ?? '').split(',').filter((text) => text !== '')) {
    const at = pair.indexOf('=');
    if (at < 1) throw new TephraError('invalid_argument', 'name is not app{k=v,...}');
    labels.push([pair.slice(0, at).trim(), pair.slice(at + 1).trim()]);
  }
  if (!labels.some(([label]) => label === 'service_name')) labels.push(['service_name', app]);
  labels.push(['pyroscope_spy', spyName]);
  return labels;
}
