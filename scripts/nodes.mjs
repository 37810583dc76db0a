/**
 * Runs a part of the tests under other versions of Node, which npm brings:
 *
 *     node scripts/nodes.mjs [VERSION...]
 *
 * The part is what may depend on the version: formats and readers, the native modules (LevelDB,
 * the profiler), the engine, and a server in a process of its own, asked for every value. A version
 * that cannot be had is skipped, with the reason. The last line is `N passed, N failed`.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The newest of each line that is maintained, and the oldest that package.json allows. */
const VERSIONS = ['20.19.0', '22.23.3', '24.21.0'];

const TESTS = [
  'test/agent/agent',
  'test/agent/spans',
  'test/client/client',
  'test/client/nodes',
  'test/client/stream/stream',
  'test/contract/blob-store-level',
  'test/end-to-end/corpus',
  'test/ingest/resolve',
  'test/ingest/route',
  'test/profile/labels',
  'test/profile/pprof',
  'test/query/encode',
  'test/query/execute',
  'test/query/selector',
  'test/storage/block',
  'test/storage/fragment',
  'test/storage/root',
];

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const isThere = (path) => [path, `${path}.test.ts`].some((name) => existsSync(join(root, name)));
// jest says nothing of a path that no test matches, if others do.
const missing = TESTS.filter((path) => !isThere(path));
const asked = process.argv.slice(2);
const major = (version) => version.split('.')[0];
// The version that runs this runs all tests anyway.
const wanted =
  asked.length > 0
    ? asked
    : VERSIONS.filter((version) => major(version) !== major(process.versions.node));

for (const path of missing) say(`${path} is no test`);
let passed = 0;
let failed = missing.length;
for (const version of wanted) {
  const node = fetchNode(version);
  if (typeof node !== 'string') {
    say(`${version} skipped: npm could not fetch it: ${node.why}`);
    continue;
  }
  const begun = performance.now();
  const counts = test(node);
  const seconds = ((performance.now() - begun) / 1000).toFixed(0);
  passed += counts.passed;
  failed += counts.failed;
  say(`${version} ${counts.passed} passed, ${counts.failed} failed (${seconds} s)`);
}
process.stdout.write(`${passed} passed, ${failed} failed\n`);
process.exitCode = failed === 0 ? 0 : 1;

/**
 * Path of that Node, fetched where it is not there yet. The package of the platform is taken and not
 * `node`, whose install script only asks npm for it.
 */
function fetchNode(version) {
  const folder = join(root, 'node_modules', '.cache', 'nodes', version);
  const platform = process.platform === 'win32' ? 'win' : process.platform;
  const name = `node-${platform}-${process.arch}`;
  const program = process.platform === 'win32' ? 'node.exe' : 'node';
  const path = join(folder, 'node_modules', name, 'bin', program);
  if (!existsSync(path)) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'package.json'), '{ "private": true }\n');
    const flags = ['--no-audit', '--no-fund', '--ignore-scripts', '--loglevel', 'error'];
    const { status, error, stderr } = spawnSync(
      'npm',
      ['install', ...flags, `${name}@${version}`],
      { cwd: folder, encoding: 'utf8', shell: process.platform === 'win32', timeout: 300_000 },
    );
    // npm begins with the code: `npm error code ENOTFOUND`.
    if (status !== 0) return { why: error?.message ?? stderr.split('\n', 1)[0] };
  }
  const { status, error, stdout } = spawnSync(path, ['--version'], { encoding: 'utf8' });
  if (status === 0 && stdout.trim() === `v${version}`) return path;
  return { why: `${path} does not run: ${error?.message ?? stdout}` };
}

/** Runs the tests by `node`; prints what they say when one fails. */
function test(node) {
  const { status, stdout, stderr } = spawnSync(
    node,
    [
      '--experimental-vm-modules',
      '--disable-warning=ExperimentalWarning',
      join('node_modules', 'jest', 'bin', 'jest.js'),
      ...TESTS,
    ],
    { cwd: root, encoding: 'utf8', maxBuffer: 256 * 1024 * 1024, env: withoutCorpus() },
  );
  const [, counted = '0', broken = '0'] = /(\d+) passed, (\d+) failed/.exec(lastLine(stdout)) ?? [];
  const counts = { passed: Number(counted), failed: Number(broken) };
  if (status === 0) return counts;
  process.stdout.write(stdout + stderr);
  return { passed: counts.passed, failed: Math.max(1, counts.failed) };
}

/** The large profiles say nothing about a version of Node, and take their time. */
function withoutCorpus() {
  const { TEPHRA_CORPUS: _, ...others } = process.env;
  return others;
}

function lastLine(text) {
  return text.trimEnd().split('\n').at(-1) ?? '';
}

function say(text) {
  process.stdout.write(`nodes: ${text}\n`);
}
