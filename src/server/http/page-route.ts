import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Route, RouteAnswer } from './routes.ts';

/** The files of the page by name: `index.html` and those that it loads. */
export type PageFiles = ReadonlyMap<string, Uint8Array>;

/** Stands in index.html for what {@link pageRoutes} puts into the addresses of the other files. */
const VERSION_MARK = 'VERSION';

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  css: 'text/css; charset=utf-8',
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  svg: 'image/svg+xml',
};

/** The page loads nothing from elsewhere, runs nothing inline, and stands in nobody's frame. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
].join('; ');

const HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy': POLICY,
  'cross-origin-opener-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};

/**
 * `GET /`, and the files that it loads under `/page/<version>/`. The version is a hash of all of them:
 * they may be kept for ever, and only `/` is asked for again. Addresses within are relative, so the page
 * works behind any prefix. No files: no routes.
 */
export function pageRoutes(files: PageFiles): [string, Route][] {
  const index = files.get('index.html');
  if (index === undefined) return [];
  const hash = createHash('sha256');
  for (const [name, bytes] of [...files].sort(([a], [b]) => (a < b ? -1 : 1))) {
    hash.update(`${name}\0${bytes.byteLength}\0`).update(bytes);
  }
  const version = hash.digest('hex').slice(0, 16);
  const routes: [string, Route][] = [];
  for (const [name, bytes] of files) {
    const contentType = CONTENT_TYPES[name.slice(name.lastIndexOf('.') + 1)];
    if (contentType === undefined || name === 'index.html') continue;
    const headers = { 'cache-control': 'public, max-age=31536000, immutable' };
    routes.push([`/page/${version}/${name}`, fileRoute(bytes, contentType, version, headers)]);
  }
  const text = Buffer.from(index).toString('utf8').replaceAll(VERSION_MARK, version);
  const loads = routes
    .filter(([path]) => path.endsWith('.js') && !path.endsWith('/main.js'))
    .map(([path]) => `<link rel="modulepreload" href="${path.slice(1)}" />`);
  const page = text.replace('</head>', `${loads.join('\n    ')}\n  </head>`);
  const headers = { 'cache-control': 'no-cache' };
  routes.push(['/', fileRoute(Buffer.from(page), CONTENT_TYPES['html'] ?? '', version, headers)]);
  return routes;
}

/**
 * Sends a browser from `/prefix` on to `/prefix/`, so that the page's relative addresses begin behind
 * the prefix. Returns true if the request was for that and is answered.
 */
export function redirectToPage(
  request: IncomingMessage,
  response: ServerResponse,
  prefix: string,
): boolean {
  const [path, search] = (request.url ?? '').split(/\?(.*)/s, 2);
  const reads = request.method === 'GET' || request.method === 'HEAD';
  if (!reads || prefix === '' || path !== prefix) return false;
  const last = prefix.slice(prefix.lastIndexOf('/') + 1);
  const location = `${last}/${search === undefined ? '' : `?${search}`}`;
  response.writeHead(308, { location, 'content-length': 0 }).end();
  return true;
}

function fileRoute(
  bytes: Uint8Array,
  contentType: string,
  version: string,
  cache: Readonly<Record<string, string>>,
): Route {
  // Weak: the same file is sent plain or compressed.
  const etag = `W/"${version}"`;
  const headers = { ...HEADERS, ...cache, etag };
  const whole: RouteAnswer = { status: 200, body: bytes, contentType, headers };
  const same: RouteAnswer = { status: 304, body: '', headers };
  return {
    method: 'GET',
    handle: (request) =>
      Promise.resolve(request.headers['if-none-match']?.includes(etag) === true ? same : whole),
  };
}
