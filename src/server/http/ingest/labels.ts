import type { ProfileFormat } from '../../../ingest/push.ts';
import { parseAppName, textProfileType } from '../../../profile/ingest-naming.ts';
import { labelValue, type Label } from '../../../profile/labels.ts';

/** What the parameters of `/ingest` say about a series. */
export interface IngestSeries {
  /** The app name with its suffix, which names the type of a text format. */
  readonly appName: string;
  /** Labels as sent, then those that follow from the other parameters. */
  readonly labels: readonly Label[];
}

/**
 * Labels of a profile: those in `name`, the app name as `service_name` unless they have one, the
 * sender as `pyroscope_spy`. Throws as {@link parseAppName} and {@link textProfileType} do.
 */
export function ingestSeries(name: string, spyName: string, format: ProfileFormat): IngestSeries {
  const { app, labels } = parseAppName(name);
  const added: Label[] = [];
  if (labelValue(labels, 'service_name') === undefined) {
    added.push(['service_name', format === 'pprof' ? app : textProfileType(app).app]);
  }
  if (labelValue(labels, 'pyroscope_spy') === undefined) added.push(['pyroscope_spy', spyName]);
  return { appName: app, labels: [...labels, ...added] };
}
