import { describe, expect, test } from '@jest/globals';
import { pageRoutes } from '../../src/server/http/page-route.ts';
import type { Route, RouteAnswer } from '../../src/server/http/routes.ts';

const files = new Map([
  ['index.html', Buffer.from('<head><script src="page/VERSION/main.js"></script></head>')],
  ['main.js', Buffer.from('1')],
  ['other.js', Buffer.from('2')],
  ['style.css', Buffer.from('3')],
]);

/** What a route answers to a GET. */
function get(route: Route | undefined, headers: Record<string, string> = {}): Promise<RouteAnswer> {
  const handle = route!.handle as (...given: unknown[]) => Promise<RouteAnswer>;
  return handle({ headers }, new URLSearchParams());
}

function textOf({ body }: RouteAnswer): string {
  if (typeof body === 'string') return body;
  return body instanceof Uint8Array ? Buffer.from(body).toString() : '';
}

describe('the routes of the page', () => {
  const routes = new Map(pageRoutes(files));

  test('/ names files that are there, and is asked for each time', async () => {
    const answer = await get(routes.get('/'));
    const paths = [...textOf(answer).matchAll(/(?:src|href)="([^"]+)"/g)].map(([, to]) => to);
    expect(paths).toHaveLength(2);
    for (const path of paths) expect(routes.has(`/${path}`)).toBe(true);
    expect(answer.headers).toMatchObject({ 'cache-control': 'no-cache' });
    expect(answer.headers?.['content-security-policy']).toMatch(
      /^default-src 'none'; script-src 'self';/,
    );
  });

  test('a file that is known is not sent again', async () => {
    const path = [...routes.keys()].find((key) => key.endsWith('main.js'));
    const first = await get(routes.get(path!));
    expect(first.headers?.['cache-control']).toMatch(/immutable/);
    const again = { 'if-none-match': first.headers?.['etag'] ?? '' };
    expect(await get(routes.get(path!), again)).toMatchObject({ status: 304, body: '' });
  });

  test('another byte is another address', () => {
    const changed = new Map(pageRoutes(new Map([...files, ['style.css', Buffer.from('4')]])));
    expect([...changed.keys()].filter((path) => routes.has(path))).toEqual(['/']);
  });

  test('without files nothing is served', () => {
    expect(pageRoutes(new Map())).toEqual([]);
  });
});
