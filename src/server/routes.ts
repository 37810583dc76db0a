import type { IncomingMessage, ServerResponse } from 'node:http';
import { TephraError } from '../base/errors.ts';
import { observed, type RunDeps } from './rpc/run.ts';
import { sendError } from './send-error.ts';

/** What a plain route answers. */
export interface RouteAnswer {
  readonly status: number;
  /** Empty = no body and no content type. */
  readonly body: string;
  readonly contentType?: string | undefined;
}

/** A plain HTTP route. */
export interface Route {
  readonly method: 'GET' | 'POST';
  readonly handle: (request: IncomingMessage, query: URLSearchParams) => Promise<RouteAnswer>;
  /** HTTP status of an error; that of the error table unless given. */
  readonly errorStatus?: (error: TephraError) => number;
}

/** Plain routes by exact path: paths are looked up, never decoded or joined. */
export type Routes = ReadonlyMap<string, Route>;

/** Answers a request that is no RPC: by its route, else 404 or 405, always in JSON. */
export async function serveRoute(
  routes: Routes,
  services: ReadonlySet<string>,
  request: IncomingMessage,
  response: ServerResponse,
  deps: RunDeps,
): Promise<void> {
  const [path = '', search = ''] = (request.url ?? '').split(/\?(.*)/s, 2);
  const route = routes.get(path);
  if (route === undefined) {
    const { status, error } = unknownPath(path, services);
    sendError(request, response, error, status);
    return;
  }
  const method = request.method === 'HEAD' ? 'GET' : request.method;
  if (method !== route.method) {
    const allow = route.method === 'GET' ? 'GET, HEAD' : route.method;
    response.setHeader('allow', allow);
    const error = new TephraError('invalid_argument', `${path} takes ${allow}`);
    sendError(request, response, error, 405);
    return;
  }
  try {
    const answer = await observed(path, deps, () =>
      route.handle(request, new URLSearchParams(search)),
    );
    if (answer.contentType !== undefined) response.setHeader('content-type', answer.contentType);
    response.writeHead(answer.status, { 'content-length': Buffer.byteLength(answer.body) });
    response.end(answer.body);
  } catch (thrown) {
    const error = TephraError.from(thrown);
    sendError(request, response, error, route.errorStatus?.(error) ?? error.row.http);
  }
}

/** A method missing in a service that is here is 501; a service that is not here is 404. */
function unknownPath(
  path: string,
  services: ReadonlySet<string>,
): { status: number; error: TephraError } {
  const [, service, rpc] = /^\/([\w.]+)\/(\w+)$/.exec(path) ?? [];
  if (service !== undefined && services.has(service)) {
    return { status: 501, error: new TephraError('unimplemented', `no method ${service}/${rpc}`) };
  }
  const shown = JSON.stringify(path.slice(0, 128));
  return { status: 404, error: new TephraError('not_found', `nothing is served at ${shown}`) };
}
