import type { Metrics } from '../base/metrics.ts';
import type { Route, RouteAnswer } from './routes.ts';

/**
 * Health and metrics. Ready means that requests are taken; alive means only that the event loop
 * answers, never the state of the disk or the load.
 */
export function healthRoutes(isReady: () => boolean, metrics: Metrics): [string, Route][] {
  const ready = plain(() =>
    isReady() ? { status: 200, body: 'ready\n' } : { status: 503, body: 'stopping\n' },
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

function plain(answer: () => Omit<RouteAnswer, 'contentType'>): Route {
  return {
    method: 'GET',
    handle: () => Promise.resolve({ ...answer(), contentType: 'text/plain; charset=utf-8' }),
  };
}
