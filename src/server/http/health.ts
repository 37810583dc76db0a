import type { Metrics } from '../../base/metrics.ts';
import type { Route, RouteAnswer } from './routes.ts';

/** What is not as it should be although requests are taken; empty = nothing. */
export type Troubles = () => readonly string[];

/** Troubles that are named; more are counted. */
const TROUBLES_SHOWN = 20;

/**
 * Health and metrics. Ready means that requests are taken; alive means only that the event loop
 * answers, never the state of the disk or the load. A server that has lost something, set a volume aside
 * or takes no pushes for want of room still serves the rest: it is ready, and says `degraded`.
 */
export function healthRoutes(
  isReady: () => boolean,
  metrics: Metrics,
  troubles: Troubles,
): [string, Route][] {
  const ready = plain(() =>
    isReady() ? { status: 200, body: readyText(troubles()) } : { status: 503, body: 'stopping\n' },
  );
  const alive = plain(() => ({ status: 200, body: 'ok\n' }));
  const exposition: Route = {
    method: 'GET',
    handle: async () => ({
      status: 200,
      body: await metrics.text(),
      contentType: metrics.contentType,
    }),
  };
  return [
    ['/ready', ready],
    ['/readyz', ready],
    ['/healthz', alive],
    ['/livez', alive],
    ['/metrics', exposition],
  ];
}

function readyText(troubles: readonly string[]): string {
  if (troubles.length === 0) return 'ready\n';
  const lines = troubles.slice(0, TROUBLES_SHOWN).map((trouble) => `- ${trouble}`);
  const more = troubles.length - lines.length;
  if (more > 0) lines.push(`- and ${more} more`);
  return `degraded\n${lines.join('\n')}\n`;
}

function plain(answer: () => Omit<RouteAnswer, 'contentType'>): Route {
  return {
    method: 'GET',
    handle: () => Promise.resolve({ ...answer(), contentType: 'text/plain; charset=utf-8' }),
  };
}
