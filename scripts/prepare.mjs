/**
 * Makes a clone ready to run: installs the packages when node_modules does not hold what
 * package-lock.json names, and compiles src/ when dist/ was not made from it. Says nothing when there
 * is nothing to do. Runs before `npm start` and `npm test`, so it may use Node alone.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What dist/ is made from; the last two kinds are served to browsers as they are. */
const PARTS = /\.ts$|^src\/page\/[^/]+\.(?:json|html|css|svg)$/;

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const at = (...parts) => join(root, ...parts);

requireNode(20, 19);
if (!isInstalled()) install();
const sources = hashOfSources();
if (!isBuiltFrom(sources)) await build(sources);

function requireNode(major, minor) {
  const [foundMajor = 0, foundMinor = 0] = process.versions.node.split('.').map(Number);
  if (foundMajor > major || (foundMajor === major && foundMinor >= minor)) return;
  fail(`Node ${major}.${minor} or newer is needed, this is ${process.versions.node}`);
}

/** npm writes node_modules/.package-lock.json last, so an install that was cut short has none. */
function isInstalled() {
  const hidden = at('node_modules', '.package-lock.json');
  if (!existsSync(hidden)) return false;
  const wanted = packagesOf(at('package-lock.json'));
  const present = packagesOf(hidden);
  return (
    Object.entries(wanted).every(
      ([path, { version, optional, peer }]) =>
        path === '' ||
        present[path]?.version === version ||
        (!(path in present) && (optional || peer)),
    ) && Object.keys(present).every((path) => path in wanted)
  );
}

function packagesOf(lockFile) {
  return JSON.parse(readFileSync(lockFile, 'utf8')).packages;
}

function install() {
  say('installing packages (npm ci), once');
  // Within an npm script this is the npm that runs it, wherever it lies.
  const npm = process.env.npm_execpath;
  // The compiler is a development package, wanted where NODE_ENV=production too.
  const flags = ['ci', '--include=dev', '--no-audit', '--no-fund'];
  const { status } =
    npm === undefined
      ? spawnSync('npm', flags, {
          cwd: root,
          stdio: 'inherit',
          shell: process.platform === 'win32',
        })
      : spawnSync(process.execPath, [npm, ...flags], { cwd: root, stdio: 'inherit' });
  if (status !== 0) fail('npm ci failed, see above');
}

/** By content, not by time: a checkout touches times, and clocks differ. */
function hashOfSources() {
  const hash = createHash('sha256');
  const files = ['package-lock.json', 'tsconfig.json', 'tsconfig.build.json', ...filesUnder('src')];
  for (const file of files) {
    hash.update(`${file}\0`);
    hash.update(readFileSync(at(file)));
    hash.update('\0');
  }
  return hash.digest('hex');
}

function filesUnder(folder) {
  return readdirSync(at(folder), { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory()) return filesUnder(path);
      return PARTS.test(path) ? [path] : [];
    });
}

function isBuiltFrom(hash) {
  const stamp = at('dist', '.sources');
  return existsSync(stamp) && readFileSync(stamp, 'utf8') === hash;
}

/** Compiles beside dist/ and swaps, so that a server that runs from dist/ never sees half of it. */
async function build(hash) {
  say('compiling src/ to dist/');
  const next = `dist.next-${process.pid}`;
  const last = `dist.last-${process.pid}`;
  const tsc = at('node_modules', 'typescript', 'bin', 'tsc');
  const compiles = (...args) =>
    spawnSync(process.execPath, [tsc, ...args], { cwd: root, stdio: 'inherit' }).status === 0;
  // The page is compiled by itself: it has the browser's globals.
  const page = ['--noEmit', 'false', '--outDir', `${next}/page`];
  if (
    !compiles('-p', 'tsconfig.build.json', '--outDir', next) ||
    !compiles('-p', 'src/page', ...page)
  ) {
    rmSync(at(next), { recursive: true, force: true });
    fail('src/ does not compile, see above');
  }
  await makePage(next);
  writeFileSync(at(next, '.sources'), hash);
  if (existsSync(at('dist'))) renameSync(at('dist'), at(last));
  renameSync(at(next), at('dist'));
  rmSync(at(last), { recursive: true, force: true });
}

/** Copies what the page has beside its modules, and makes all of it small: a browser has to load it. */
async function makePage(next) {
  for (const name of readdirSync(at('src', 'page'))) {
    if (!/\.(?:html|css|svg)$/.test(name)) continue;
    const text = readFileSync(at('src', 'page', name), 'utf8');
    writeFileSync(at(next, 'page', name), text.replaceAll(/^ +/gm, ''));
  }
  const { minifySync } = await import('@swc/core');
  for (const name of readdirSync(at(next, 'page'))) {
    if (!name.endsWith('.js')) continue;
    const path = at(next, 'page', name);
    writeFileSync(path, minifySync(readFileSync(path, 'utf8'), { module: true }).code);
  }
}

function say(text) {
  process.stderr.write(`prepare: ${text}\n`);
}

function fail(text) {
  say(text);
  process.exit(1);
}
