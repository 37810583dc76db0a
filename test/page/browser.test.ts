import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { Browser, Page } from 'playwright-core';
import { readFlame, nameOf, nodeCount, type Flame } from '../../src/page/flame.ts';
import { type ServerProcess, Servers, tell, tephra } from '../end-to-end/server-process.ts';
import { CHROMIUM, launch } from './chromium.ts';

const HOSTILE = [
  '<img src=x onerror="window.hit=1">',
  '"><script>window.hit=1</script>',
  '</td><b onmouseover=window.hit=1>',
  '{{constructor}} ${window.hit=1}',
];
const TYPE = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds';
const MINUTE = 60_000;
/** For a server and a browser to start, on a machine that has much else to do. */
const START_MS = 90_000;

const described = CHROMIUM === undefined ? describe.skip : describe;

described(
  `the page in a browser${CHROMIUM === undefined ? ' (there is no Chromium here)' : ''}`,
  () => {
    const servers = new Servers();
    let server: ServerProcess;
    let browser: Browser;
    let nowMs = 0;

    beforeAll(async () => {
      [server, browser] = await Promise.all([
        servers.start('page', '--path-prefix', '/tephra'),
        launch(),
      ]);
      nowMs = Date.now();
      // Half an hour ago and now: `slow` grew, `fast` shrank, `even` kept its share.
      await send(server, 'shop', nowMs - 40 * MINUTE, 'main;slow 10\nmain;fast 70\nmain;even 20\n');
      await send(
        server,
        'shop',
        nowMs - 10 * MINUTE,
        'main;slow 140\nmain;fast 20\nmain;even 40\n',
      );
      const names = HOSTILE.map((name, i) => `${name} ${50 - i}`);
      await send(server, 'hostile', nowMs - 5 * MINUTE, `${names.join('\n')}\n`);
      await send(server, 'wide', nowMs - 5 * MINUTE, manyStacks());
    }, START_MS);

    afterEach(async () => {
      await Promise.all(browser.contexts().map((context) => context.close()));
    });

    afterAll(async () => {
      await browser?.close();
      await servers.end();
    });

    /** A page at this state, and what it had to complain about. */
    async function open(
      hash: string,
      options: { width?: number; dark?: boolean; url?: string } = {},
    ): Promise<{ page: Page; complaints: string[]; hosts: Set<string> }> {
      const context = await browser.newContext({
        viewport: { width: options.width ?? 1400, height: 900 },
        colorScheme: options.dark === true ? 'dark' : 'light',
        timezoneId: 'UTC',
      });
      const page = await context.newPage();
      const complaints: string[] = [];
      const hosts = new Set<string>();
      page.on('console', (message) => complaints.push(message.text()));
      page.on('pageerror', (error) => complaints.push(error.message));
      page.on('request', (request) => hosts.add(new URL(request.url()).host));
      await page.goto(`${options.url ?? `${server.url}/tephra/`}${hash}`);
      return { page, complaints, hosts };
    }

    async function shown(hash: string, options = {}): ReturnType<typeof open> {
      const opened = await open(hash, options);
      await opened.page.waitForSelector('#shown:not([hidden])');
      await drawn(opened.page);
      return opened;
    }

    test('bars have the widths that the server says', async () => {
      const { page, complaints } = await shown('#service=shop');
      const flame = await merged(server, 'shop', nowMs);
      expect(nodeCount(flame)).toBe(5);
      for (let node = 0; node < nodeCount(flame); node++) {
        const [left, right, y] = await place(page, flame, node);
        for (const x of [left + 2, right - 2]) {
          await page.mouse.move(x, y);
          expect(await page.textContent('#tip b')).toBe(nameOf(flame, node));
        }
        const share = `${((100 * flame.now.total[node]!) / flame.now.total[0]!).toFixed(1)} %`;
        expect(await page.textContent('#tip table')).toContain(share);
      }
      expect(complaints).toEqual([]);
    });

    test('zoom, search and table follow clicks and keys', async () => {
      const { page, complaints } = await shown('#service=shop');
      const flame = await merged(server, 'shop', nowMs);
      const slow = flame.names.indexOf('slow');
      const [left, , y] = await place(page, flame, flame.name.indexOf(slow));
      await page.mouse.click(left + 4, y);
      await drawn(page);
      const box = (await page.locator('#flame canvas').boundingBox())!;
      await page.mouse.move(box.x + box.width - 4, y);
      expect(await page.textContent('#tip b')).toBe('slow');
      await page.locator('#unzoom').click();

      await page.locator('#flame canvas').focus();
      await page.keyboard.press('Home');
      await page.keyboard.press('ArrowDown');
      expect(await page.textContent('#status')).toMatch(/^main: total .* \(100\.0 %\)/);
      await page.keyboard.press('ArrowDown');
      expect(await page.textContent('#status')).toMatch(/^slow: .* \(50\.0 %\)/);
      await page.keyboard.press('Enter');
      expect(page.url()).toContain('zoom=');
      await page.keyboard.press('Escape');
      expect(page.url()).not.toContain('zoom=');

      await page.fill('#find', 'EVEN');
      expect(await page.textContent('#found')).toBe('20.0 % of all');
      await page.locator('#top button[title="fast"]').click();
      expect(await page.inputValue('#find')).toBe('fast');
      const rows = await page.locator('#top tbody td:first-child').allTextContents();
      expect(rows).toEqual(['slow', 'fast', 'even', 'main']);
      await page.locator('#top th button', { hasText: 'total' }).click();
      expect((await page.locator('#top tbody td:first-child').allTextContents())[0]).toBe('main');
      expect(complaints).toEqual([]);
    });

    test('names of functions are text, whatever they say', async () => {
      const { page, complaints, hosts } = await shown('#service=hostile');
      const flame = await merged(server, 'hostile', nowMs);
      for (let node = 1; node < nodeCount(flame); node++) {
        const [left, , y] = await place(page, flame, node);
        await page.mouse.move(left + 5, y);
        expect(HOSTILE).toContain(await page.textContent('#tip b'));
      }
      const titles = await page
        .locator('#top tbody button')
        .evaluateAll((buttons) => buttons.map((button) => button.getAttribute('title')));
      expect(new Set(titles)).toEqual(new Set(HOSTILE));
      expect(await page.evaluate('window.hit')).toBeUndefined();
      expect(await page.locator('#shown img, #tip img, #shown script').count()).toBe(0);
      expect(complaints).toEqual([]);
      expect([...hosts]).toEqual([new URL(server.url).host]);
    });

    test('nothing inline runs: the policy forbids it', async () => {
      const { page, complaints } = await shown('#service=shop');
      const inject = `const s = document.createElement('script'); s.append('window.hit=1'); document.body.append(s)`;
      await page.evaluate(inject).catch(() => {});
      expect(await page.evaluate('window.hit')).toBeUndefined();
      expect(complaints.join()).toMatch(/content security policy|trusted/i);
    });

    test('a diff is orange for more, blue for less, grey below the floor', async () => {
      const whole = `${nowMs - 50 * MINUTE}-${nowMs}`;
      const base = `${nowMs - 50 * MINUTE}-${nowMs - 25 * MINUTE}`;
      const span = `${nowMs - 25 * MINUTE}-${nowMs}`;
      const { page, complaints } = await shown(
        `#service=shop&view=diff&range=${whole}&base=${base}&span=${span}`,
      );
      const flame = await merged(server, 'shop', nowMs, true);
      const points: [number, number][] = [];
      for (let node = 0; node < nodeCount(flame); node++) {
        const [left, right, y] = await place(page, flame, node);
        points.push([right - Math.min(6, (right - left) / 2), y]);
      }
      const kinds = Object.fromEntries(
        (await pixels(page, points)).map(([red = 0, , blue = 0], node) => [
          nameOf(flame, node),
          red - blue > 60 ? 'orange' : blue - red > 30 ? 'blue' : 'grey',
        ]),
      );
      expect(kinds).toEqual({
        total: 'grey',
        main: 'grey',
        slow: 'orange',
        fast: 'blue',
        even: 'grey',
      });
      expect(await page.locator('#legend').isVisible()).toBe(true);
      const cells = await page
        .locator('#top tbody tr', { hasText: 'slow' })
        .locator('td')
        .allTextContents();
      expect(cells).toEqual(['slow', '+60.0 %', '+60.0 %']);
      expect(
        await page.locator('#top tbody tr', { hasText: 'slow' }).locator('td.up').count(),
      ).toBe(2);
      expect(complaints).toEqual([]);
    });

    test('parts of the time are chosen by mouse and by keys, and are in the address', async () => {
      const { page, complaints } = await shown('#service=shop');
      const box = (await page.locator('#timeline').boundingBox())!;
      await page.mouse.move(box.x + box.width * 0.6, box.y + 40);
      await page.mouse.down();
      await page.mouse.move(box.x + box.width * 0.98, box.y + 40, { steps: 4 });
      await page.mouse.up();
      await until(page, `!document.body.classList.contains('busy')`);
      expect(page.url()).toMatch(/span=\d+-\d+/);
      expect(await page.textContent('#summary')).toContain('1 profile,');
      const before = page.url();
      await page.locator('[data-edge="span-fromMs"]').focus();
      await page.keyboard.press('ArrowRight');
      await until(page, `location.href !== ${JSON.stringify(before)}`);
      await until(page, `!document.body.classList.contains('busy')`);
      await page.locator('#whole').click();
      await until(page, `document.querySelector('#summary').textContent.includes('2 profiles')`);
      expect(complaints).toEqual([]);
    });

    test('an address shows to others what it shows here, and back goes back', async () => {
      const first = await shown('#service=shop');
      await first.page.selectOption('#service', 'hostile');
      await until(first.page, `document.title.startsWith('hostile')`);
      await first.page.locator('#view button[value=diff]').click();
      await first.page.waitForSelector('#legend:not([hidden])');
      await first.page.fill('#find', 'script');
      await first.page.selectOption('#floor', '0.05');
      const second = await shown(`#${first.page.url().split('#')[1]}`);
      const seen = (page: Page): Promise<unknown> =>
        page.evaluate(`[...document.querySelectorAll('select, input')].map((field) => field.value)
        .concat([...document.querySelectorAll('[aria-pressed=true]')].map((button) => button.value))`);
      expect(await seen(second.page)).toEqual(await seen(first.page));
      await first.page.goBack();
      await first.page.waitForSelector('#legend', { state: 'hidden' });
      await first.page.goBack();
      await until(first.page, `document.title.startsWith('shop')`);
      expect([...first.complaints, ...second.complaints]).toEqual([]);
    });

    test.each(['#service=wide', '#service=shop&view=diff'])(
      '%s: nothing sticks out, light and dark, 1,400 and 400 pixels wide',
      async (hash) => {
        const { page, complaints } = await shown(hash);
        for (const width of [1400, 400]) {
          for (const colorScheme of ['light', 'dark'] as const) {
            await page.emulateMedia({ colorScheme });
            await page.setViewportSize({ width, height: 900 });
            await drawn(page);
            const out = await page.evaluate(`[...document.querySelectorAll('body *')]
              .filter((one) => one.getBoundingClientRect().right > innerWidth + 0.5)
              .filter((one) => one.closest('#timeline') === null)
              .map((one) => one.tagName + '#' + one.id)`);
            expect([width, colorScheme, out]).toEqual([width, colorScheme, []]);
            expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(width);
          }
        }
        expect(complaints).toEqual([]);
      },
    );

    test('8,192 nodes are drawn within a frame', async () => {
      const { page } = await shown('#service=wide');
      const flame = await merged(server, 'wide', nowMs);
      expect(nodeCount(flame)).toBeGreaterThan(7_000);
      const box = (await page.locator('#flame canvas').boundingBox())!;
      const times: number[] = [];
      for (let i = 0; i < 10; i++) {
        await page.mouse.move(box.x + 20 + 40 * i, box.y + 30 + 4 * i);
        await drawn(page);
        times.push(
          Number(await page.evaluate(`performance.getEntriesByName('flame').at(-1).duration`)),
        );
      }
      times.sort((a, b) => a - b);
      tell(
        `${nodeCount(flame)} nodes drawn in ${times[5]?.toFixed(1)} ms, at best ${times[0]?.toFixed(1)} ms`,
      );
      // The best of them: on a busy machine the others wait for it.
      expect(times[0]).toBeLessThan(16);
    });

    test('the command on screen is run as it stands', async () => {
      const { page } = await shown('#service=shop');
      const text = (await page.textContent('#command'))!;
      const words = text.replaceAll('\\\n', ' ').split(/\s+/).slice(1);
      const { code, out } = await tephra(...words);
      expect(out.toString()).toContain('slow');
      expect(code).toBe(0);
      await page.locator('#tool button[value=curl]').click();
      expect(await page.textContent('#command')).toContain(
        `${server.url}/tephra/tephra.v1.QueryService/Merge`,
      );
    });

    test('a fresh server says what to do, shows what comes, and its end is told', async () => {
      const fresh = await servers.start('fresh');
      const { page, complaints } = await open('', { url: `${fresh.url}/` });
      await page.waitForSelector('#empty:not([hidden])');
      expect(await page.textContent('#empty-command')).toContain(`${fresh.url}/ingest?`);
      expect(complaints).toEqual([]);
      await send(fresh, 'first', Date.now() - MINUTE, 'main;a 3\n', '');
      await page.waitForSelector('#shown:not([hidden])');
      expect(await page.title()).toBe('first · Tephra');
      await fresh.stop('SIGKILL');
      await page.locator('#refresh').click();
      await page.waitForSelector('#trouble:not([hidden])');
      expect(await page.textContent('#trouble')).toContain('The server does not answer');
      expect(await page.locator('#shown').isVisible()).toBe(true);
    });
  },
);

/** Sends folded stacks as a profile of one second. */
async function send(
  { url }: ServerProcess,
  service: string,
  ms: number,
  folded: string,
  prefix = '/tephra',
): Promise<void> {
  const from = Math.floor(ms / 1000);
  const path = `${prefix}/ingest?name=${service}.cpu&from=${from}&until=${from + 1}`;
  const answer = await fetch(`${url}${path}`, { method: 'POST', body: folded });
  expect([answer.status, await answer.text()]).toEqual([200, '']);
}

/** What the server says about the last hour. */
async function merged(
  { url }: ServerProcess,
  service: string,
  nowMs: number,
  isDiff = false,
): Promise<Flame> {
  const of = (fromMs: number, toMs: number): object => ({
    profileType: TYPE,
    selector: `{service_name="${service}"}`,
    startMs: String(fromMs),
    endMs: String(toMs),
  });
  const middle = nowMs - 25 * MINUTE;
  const body = isDiff
    ? { left: of(nowMs - 60 * MINUTE, middle), right: of(middle + 1, nowMs) }
    : { selection: of(nowMs - 60 * MINUTE, nowMs) };
  const method = isDiff ? 'Diff' : 'Merge';
  const answer = await fetch(`${url}/tephra/tephra.v1.QueryService/${method}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return readFlame(((await answer.json()) as { flamegraph: object }).flamegraph, isDiff);
}

/** Where a node is to be on screen: its left and right edge, and the middle of its row. */
async function place(page: Page, flame: Flame, node: number): Promise<[number, number, number]> {
  const box = (await page.locator('#flame canvas').boundingBox())!;
  const left = box.x + flame.x[node]! * box.width;
  return [left, left + flame.width[node]! * box.width, box.y + flame.depth[node]! * 21 + 10];
}

/** Red, green and blue of pixels of the flame graph. */
async function pixels(page: Page, points: readonly (readonly number[])[]): Promise<number[][]> {
  const box = (await page.locator('#flame canvas').boundingBox())!;
  const at = points.map(([x = 0, y = 0]) => [Math.round(x - box.x), Math.round(y - box.y)]);
  return page.evaluate(`{
    const canvas = document.querySelector('#flame canvas');
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    ${JSON.stringify(at)}.map(([x, y]) => [...data.slice(4 * (y * canvas.width + x)).slice(0, 3)]);
  }`);
}

/** Waits until an expression holds; the page's policy forbids the usual way. */
async function until(page: Page, expression: string): Promise<void> {
  for (let i = 0; i < 600 && (await page.evaluate(expression)) !== true; i++) {
    await page.waitForTimeout(20);
  }
  expect([expression, await page.evaluate(expression)]).toEqual([expression, true]);
}

/** Waits for two frames: what was asked for is drawn by then. */
async function drawn(page: Page): Promise<void> {
  await page.evaluate(
    'new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))',
  );
}

/** More stacks than an answer has nodes, of even weight, ten deep. */
function manyStacks(): string {
  const lines: string[] = [];
  for (let i = 0; i < 2_000; i++) {
    const path = [`root${i % 3}`];
    for (let depth = 1; depth < 10; depth++) {
      path.push(`package${depth}/of.a/function${i % (4 * depth ** 3)}`);
    }
    lines.push(`${path.join(';')} ${1000 + i}`);
  }
  return `${lines.join('\n')}\n`;
}
