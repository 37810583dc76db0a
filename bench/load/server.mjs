/**
 * The server that is measured: one of our own over a temporary directory, or any other that runs
 * already. What its processes cost is read from /proc; where there is none, or no process is named,
 * those figures are missing.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** Ticks of /proc/PID/stat in a second: the same on every Linux that Node runs on. */
const TICKS = 100;
const READY_WITHIN_MS = 120_000;

/** A server that somebody else has started; `pids` are its processes, `folders` its data. */
export function attach(url, pids, folders) {
  return {
    url: url.replace(/\/$/, ''),
    cpuMs: () => (pids.length === 0 ? undefined : pids.reduce((sum, pid) => sum + cpuOf(pid), 0)),
    memory: () => (pids.length === 0 ? undefined : memoryOf(pids)),
    disk: () => folders.map((folder) => [folder, bytesUnder(folder)]),
    restart: async () => {},
    stop: async () => {},
  };
}

/** Starts `tephra serve` over a directory of its own, with further flags. */
export async function serve(flags) {
  const folder = mkdtempSync(join(tmpdir(), 'tephra-load-'));
  const data = join(folder, 'data');
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  let child;
  const start = async (more) => {
    const args = ['bin/tephra.cjs', 'serve', '--listen', `127.0.0.1:${port}`, '--data-dir', data];
    child = spawn(
      process.execPath,
      [...args, '--log-level', 'error', '--no-self-profile', ...flags, ...more],
      {
        cwd: ROOT,
        stdio: ['ignore', 'ignore', 'inherit'],
      },
    );
    await ready(url, child);
  };
  const end = async () => {
    if (child.exitCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    await ended;
  };
  await start([]);
  return {
    url,
    cpuMs: () => cpuOf(child.pid),
    threads: () => threadsOf(child.pid),
    memory: () => memoryOf([child.pid]),
    written: () => writtenBy(child.pid),
    disk: () => foldersOf(data).map((name) => [name, bytesUnder(join(data, name))]),
    /** Ends it and starts it again over the same data with further flags. */
    async restart(more) {
      await end();
      await start(more);
    },
    async stop() {
      await end();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/**
 * Waits until the server has done what it put off: nothing is left in the head (a server that says
 * so in its metrics), or it has used almost no CPU for some seconds. Returns whether it came to that.
 */
export async function settled(server, withinMs) {
  const until = Date.now() + withinMs;
  let quiet = 0;
  while (Date.now() < until) {
    const waiting = await headBytes(server.url);
    if (waiting === 0) return true;
    const before = server.cpuMs();
    await sleep(1_000);
    const after = server.cpuMs();
    if (waiting !== undefined) continue;
    if (before === undefined || after === undefined) return false;
    quiet = after - before < 30 ? quiet + 1 : 0;
    if (quiet >= 10) return true;
  }
  return false;
}

async function headBytes(url) {
  const response = await fetch(`${url}/metrics`).catch(() => undefined);
  const text = response?.ok === true ? await response.text() : '';
  const found = /^tephra_engine\{counter="head_bytes"\} (\S+)$/m.exec(text);
  return found === null ? undefined : Number(found[1]);
}

/** Folders of a data directory: kinds of volumes one by one. */
function foldersOf(data) {
  const kinds = (path) =>
    readdirSync(join(data, path), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => join(path, name));
  return kinds('.').flatMap((folder) => (folder === 'volumes' ? kinds(folder) : [folder]));
}

async function ready(url, child) {
  const until = Date.now() + READY_WITHIN_MS;
  while (Date.now() < until) {
    if (child.exitCode !== null) throw new Error(`the server ended with ${child.exitCode}`);
    const response = await fetch(`${url}/ready`).catch(() => undefined);
    if (response?.ok === true) return;
    await sleep(50);
  }
  throw new Error(`the server was not ready within ${READY_WITHIN_MS / 1_000} s`);
}

function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

/** CPU ms of each thread; that of the main one is `main`. */
function threadsOf(pid) {
  const ids = readdirSync(`/proc/${pid}/task`);
  return new Map(ids.map((id) => [id === String(pid) ? 'main' : id, cpuOf(`${pid}/task/${id}`)]));
}

/** User and system time of a process with all its threads. */
function cpuOf(pid) {
  const text = readOr(`/proc/${pid}/stat`, '');
  // The name may hold spaces and brackets; what follows its last bracket does not.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return ((Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) * 1_000) / TICKS;
}

/** Bytes that a process had written to disks. */
function writtenBy(pid) {
  return Number(/^write_bytes: (\d+)$/m.exec(readOr(`/proc/${pid}/io`, ''))?.[1] ?? Number.NaN);
}

/** Resident bytes now and at their peak. */
function memoryOf(pids) {
  let nowBytes = 0;
  let peakBytes = 0;
  for (const pid of pids) {
    const status = readOr(`/proc/${pid}/status`, '');
    nowBytes += Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1_024;
    peakBytes += Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1_024;
  }
  return { nowBytes, peakBytes };
}

function readOr(path, fallback) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return fallback;
  }
}

function bytesUnder(path) {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return 0;
  if (!stats.isDirectory()) return stats.size;
  return readdirSync(path).reduce((sum, name) => sum + bytesUnder(join(path, name)), 0);
}
