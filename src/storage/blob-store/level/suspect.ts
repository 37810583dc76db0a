import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';

/** Longest scan of a suspect; one that lasts this long without an abort counts as sound. */
const SCAN_MS_MAX = 60_000;

/** Exit code of a scan that met damage; the same in the script. */
const DAMAGED = 4;

// Plain CommonJS as a text, because it must run without a build step and without our modules. It
// reads from both ends, because damage that is told ends a scan, and looks every key up as well,
// which compares keys where a scan does not. It says by its exit code whether it met damage that is told:
// not every look-up that ends a process can be guessed from here.
const SCRIPT = `
const { Level } = require(process.argv[1]);
const level = new Level(process.argv[2], { createIfMissing: false, keyEncoding: 'view', valueEncoding: 'view' });
let damaged = false;
const go = async (work) => { try { return await work(); } catch { damaged = true; return []; } };
(async () => {
  await level.open();
  for (const reverse of [false, true]) {
    const rows = level.iterator({ reverse, highWaterMarkBytes: 4194304, fillCache: false });
    for (;;) {
      const some = await go(() => rows.nextv(20));
      if (some.length === 0) break;
      const found = await go(() => level.getMany(some.map(([key]) => key)));
      if (found.includes(undefined)) damaged = true;
    }
    await rows.close();
  }
  await level.close();
})().then(() => process.exit(damaged ? 4 : 0), () => process.exit(1));
`;

/**
 * Tells whether the volume at a path, not open here, ends the process that reads it, or is damaged at
 * least.
 */
export type SuspectCheck = (path: string) => Promise<'sound' | 'damaged' | 'aborts'>;

// How a process ends by itself. SIGTERM is our time limit, SIGKILL the machine's lack of memory.
const ABORTS = new Set<string | null>(['SIGABRT', 'SIGBUS', 'SIGSEGV', 'SIGILL']);

/**
 * Reads a whole volume in a child process. Two deaths in ten minutes may as well be two times
 * `kill -9` under load, and to set the present raw volume aside would stop all ingest; what kills
 * the child too is no coincidence.
 */
export const scanInChild: SuspectCheck = (path) => {
  const level = createRequire(import.meta.url).resolve('level');
  const child = spawn(process.execPath, ['-e', SCRIPT, level, path], {
    stdio: 'ignore',
    timeout: SCAN_MS_MAX,
  });
  return new Promise((resolve) => {
    // Where no child can be started nothing is proven against the volume.
    child.once('error', () => resolve('sound'));
    child.once('exit', (code, signal) => {
      if (ABORTS.has(signal)) resolve('aborts');
      else resolve(code === DAMAGED ? 'damaged' : 'sound');
    });
  });
};
