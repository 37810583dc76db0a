import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { anchorsOf, linkComplaints } from './links.ts';

const root = new URL('../../', import.meta.url);

describe('links', () => {
  test('a heading has the anchor that GitHub gives it', () => {
    const text = '# What to do?\n## `tephra.v1` & co\n## What to do?\n```\n# no\n```\n';
    expect([...anchorsOf(text)]).toEqual(['what-to-do', 'tephrav1--co', 'what-to-do-1']);
  });

  test('a page that is not there and a heading that is not there are told', () => {
    const pages = new Map([
      ['docs/a.md', '[b](b.md#two) [gone](c.md) [x](b.md#one) [web](https://example.org/)'],
      ['docs/b.md', '# One'],
    ]);
    const page = { path: 'docs/a.md', text: pages.get('docs/a.md') ?? '' };
    expect(linkComplaints(page, pages, (path) => pages.has(path))).toEqual([
      'docs/a.md:1: b.md#two has no such heading',
      'docs/a.md:1: c.md is not there',
    ]);
  });

  test('every link of every page leads somewhere', () => {
    const files = execFileSync('git', ['ls-files', '*.md'], { cwd: root, encoding: 'utf8' });
    const paths = files
      .split('\n')
      .filter((path) => path !== '' && existsSync(new URL(path, root)));
    const pages = new Map(paths.map((path) => [path, readFileSync(new URL(path, root), 'utf8')]));
    expect(pages.size).toBeGreaterThan(20);
    const complaints = [...pages].flatMap(([path, text]) =>
      linkComplaints({ path, text }, pages, (file) => existsSync(new URL(file, root))),
    );
    expect(complaints).toEqual([]);
  });
});
