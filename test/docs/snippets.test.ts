/**
 * Runs every snippet of README.md and docs/*.md, page by page and in order, as a reader would who
 * begins at the top: shell by bash, JavaScript by Node, JSON and YAML by their parsers. What is not
 * run stands in not-run.ts with the reason; a block in neither way fails.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { cleanEnvironment, type ServerProcess, Servers } from '../end-to-end/server-process.ts';
import { writeShopProfiles } from '../support/shop-profiles.ts';
import { type Block, blocksOf } from './blocks.ts';
import { NOT_RUN, NOT_RUN_LANGUAGES, whyNotRun } from './not-run.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const BLOCK_MS = 180_000;
const ADDRESS = '127.0.0.1:4040';
/** What a clone has that snippets use; node_modules and package.json make `tephradb/client` known. */
const CLONE = ['bin', 'dist', 'examples', 'node_modules', 'package.json', 'proto'];

/** What a page other than README may take as given: a shop with two versions, an hour apart. */
const BEFORE = [
  'tephra push before.pb.gz --service shop --at now-90m --label version=1.4 --label region=eu',
  'tephra push before.pb.gz --service shop --at now-5m --label version=1.4 --label region=eu',
  'tephra push after.pb.gz --service shop --label version=1.5 --label region=us',
];

const pages = ['README.md', ...docs()];
const blocks = pages.flatMap((page) => blocksOf(page, readFileSync(join(ROOT, page), 'utf8')));
const isRun = (block: Block): boolean => whyNotRun(block) === undefined;

function docs(): string[] {
  return readdirSync(join(ROOT, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`);
}

test('every block is run, or stands on the list of those that are not', () => {
  const languages = new Set(['sh', 'js', 'json', 'yaml']);
  const neither = blocks.filter((block) => isRun(block) && !languages.has(block.language));
  expect(neither.map(({ page, line, language }) => `${page}:${line}: \`${language}\``)).toEqual([]);
  const listed = NOT_RUN.filter(
    ({ page, begins }) =>
      !blocks.some((block) => block.page === page && block.text.startsWith(begins)),
  );
  expect(listed).toEqual([]);
  const unused = [...NOT_RUN_LANGUAGES.keys()].filter(
    (language) => !blocks.some((block) => block.language === language),
  );
  expect(unused).toEqual([]);
});

for (const block of blocks.filter(isRun)) {
  if (block.language !== 'json' && block.language !== 'yaml') continue;
  test(`${place(block)} is read`, () => {
    const read: (text: string) => unknown = block.language === 'json' ? JSON.parse : parse;
    expect(read(block.text)).toBeTruthy();
  });
}

describe('from nothing', () => {
  runInOrder(['README.md'], []);
});

describe('with a shop in two versions', () => {
  runInOrder(docs(), BEFORE);
});

function place({ page, line, language }: Block): string {
  return `${page}:${line} (${language})`;
}

/** Runs the pages, each in a folder of its own, against one server that got `before`. */
function runInOrder(of: readonly string[], before: readonly string[]): void {
  const servers = new Servers();
  const folders = new Map(
    of.map((page) => [page, mkdtempSync(join(tmpdir(), 'tephra-docs-'))] as const),
  );
  let server: ServerProcess;

  beforeAll(async () => {
    server = await servers.start('data');
    for (const folder of folders.values()) makeFolder(folder);
    const [folder = ''] = folders.values();
    for (const line of before) {
      const ended = await execute(['bash', '-c', line], folder, server);
      if (ended.code !== 0) throw new Error(ended.err);
    }
  }, BLOCK_MS);
  afterAll(async () => {
    await servers.end();
    for (const folder of folders.values()) rmSync(folder, { recursive: true, force: true });
  });

  for (const block of blocks.filter(isRun)) {
    const folder = folders.get(block.page);
    if (folder === undefined || (block.language !== 'sh' && block.language !== 'js')) continue;
    const missing = missingFor(block.text);
    const why = missing === undefined ? '' : `: there is no ${missing}`;
    (missing === undefined ? test : test.skip)(
      `${place(block)}${why}`,
      async () => {
        const text = block.text.replaceAll(ADDRESS, `127.0.0.1:${server.port}`);
        const command =
          block.language === 'js'
            ? [process.execPath, '--input-type=module', '--eval', text]
            : ['bash', '-euo', 'pipefail', '-c', text];
        const { code, out, err } = await execute(command, folder, server);
        expect({ code, said: code === 0 ? '' : out + err }).toEqual({ code: 0, said: '' });
      },
      BLOCK_MS,
    );
  }
}

function makeFolder(folder: string): void {
  for (const name of CLONE) symlinkSync(join(ROOT, name), join(folder, name));
  const path = join(folder, 'path');
  mkdirSync(path);
  const program = (name: string, command: string): void => {
    writeFileSync(join(path, name), `#!/bin/sh\nexec ${command} "$@"\n`);
    chmodSync(join(path, name), 0o755);
  };
  program('tephra', `'${process.execPath}' '${ROOT}/bin/tephra.cjs'`);
  program('node', `'${process.execPath}'`);
  // Else an answer of 400 would pass for one that worked.
  program('curl', `'${whereIs('curl')}' --fail-with-body`);
  writeShopProfiles(folder, 10_000_000n);
  writeFileSync(join(folder, 'stacks.folded'), 'main;parse 12\nmain;render 30\n');
  writeFileSync(
    join(folder, 'shop.js'),
    "import { keepShop } from './examples/shop.mjs';\nawait keepShop(1, false);\n",
  );
}

function whereIs(program: string): string {
  return spawnSync('bash', ['-c', `command -v ${program}`], { encoding: 'utf8' }).stdout.trim();
}

/** The program that a snippet needs and this machine lacks, if there is one. */
function missingFor(text: string): string | undefined {
  return ['curl', 'go'].find(
    (program) =>
      new RegExp(`^ *${program} |[|] *${program} `, 'm').test(text) && whereIs(program) === '',
  );
}

async function execute(
  [program = '', ...args]: readonly string[],
  folder: string,
  server: ServerProcess,
): Promise<{ readonly code: number | null; readonly out: string; readonly err: string }> {
  const child = spawn(program, args, {
    cwd: folder,
    env: {
      // Go's cache of its own tools; everything else is looked for in the folder.
      GOCACHE: join(homedir(), '.cache', 'go-build'),
      ...cleanEnvironment(),
      HOME: folder,
      XDG_CONFIG_HOME: undefined,
      PATH: `${join(folder, 'path')}:${process.env['PATH']}`,
      TEPHRA_URL: server.url,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: BLOCK_MS,
  });
  const texts = { out: '', err: '' };
  child.stdout.on('data', (piece: Buffer) => (texts.out += piece.toString()));
  child.stderr.on('data', (piece: Buffer) => (texts.err += piece.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, ...texts };
}
