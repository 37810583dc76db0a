import type { Route } from './routes.ts';

/**
 * `GET /api/v1/status/buildinfo`, which tools of Grafana ask what they talk to: the answer has the form of
 * Prometheus'. What is not known of this build is ''.
 */
export function buildInfoRoute(version: string): Route {
  const data = {
    version,
    revision: '',
    branch: '',
    build_user: '',
    build_date: '',
    go_version: '',
  };
  const body = JSON.stringify({ status: 'success', data });
  return {
    method: 'GET',
    handle: () => Promise.resolve({ status: 200, body, contentType: 'application/json' }),
  };
}
