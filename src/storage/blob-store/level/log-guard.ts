/**
 * LevelDB, as its binding opens it, goes on without a log that it cannot open or read (IO error), and
 * deletes it: one failed call at a start would cost everything in it. It only tells in its LOG file. So
 * each log gets a second name before a volume is opened; where LOG tells of one that was passed over, all
 * of them come back as logs and the volume is opened again.
 */
import { join } from 'node:path';
import { isErrno, TephraError } from '../../../base/errors.ts';
import type { FileSystem } from '../../../base/file-system.ts';
import type { LevelHandle } from './handle.ts';

const KEPT = '.kept';
/** "Ignoring error IO error: …", "(ignoring error) …: dropping 9 bytes; IO error: …": not a damaged record. */
const PASSED_OVER = /gnoring error.*IO error/;

/**
 * Opens the LevelDB at `path` by `open`, such that no log is lost. Rejects with `EIO` as its code where
 * one was passed over: it is a log again then, and the next attempt reads it; else as `open` does.
 */
export async function openGuarded(
  fs: FileSystem,
  path: string,
  open: () => Promise<LevelHandle>,
): Promise<LevelHandle> {
  // Left by a process that died before it had looked.
  await settle(fs, path);
  for (const name of await fs.readdir(path)) {
    if (!isLog(name.name)) continue;
    const log = join(path, name.name);
    // Where the file system has no links, or no room for one, it goes without.
    await fs.link(log, log + KEPT).catch(() => {});
  }
  let level: LevelHandle;
  try {
    level = await open();
  } catch (error) {
    // A refused volume stays as it was; nothing of it was deleted.
    await forget(fs, path);
    throw error;
  }
  try {
    if (!(await wasPassedOver(fs, path))) {
      await forget(fs, path);
      return level;
    }
  } catch (error) {
    await level.close();
    throw error;
  }
  await level.close();
  await restore(fs, path);
  const cause = Object.assign(new TephraError('write_unknown', 'LevelDB could not read a log'), {
    code: 'EIO',
  });
  throw new TephraError('volume_quarantined', `${path}: a log cannot be read`, { cause });
}

async function settle(fs: FileSystem, path: string): Promise<void> {
  const kept = await keptIn(fs, path);
  if (kept.length === 0) return;
  if (await wasPassedOver(fs, path)) await restore(fs, path);
  else await forget(fs, path);
}

/**
 * Gives all logs back under numbers above all others, in their order: LevelDB replays them so. To replay
 * one twice changes nothing, because its rows carry their sequence, and nothing was written since.
 */
async function restore(fs: FileSystem, path: string): Promise<void> {
  const names = (await fs.readdir(path)).map(({ name }) => name);
  let next = Math.max(...names.map((name) => Number(/\d+/.exec(name)?.[0] ?? 0))) + 1;
  for (const name of await keptIn(fs, path)) {
    await fs.rename(join(path, name), join(path, `${String(next++).padStart(6, '0')}.log`));
  }
  await fs.syncDirectory(path);
}

async function forget(fs: FileSystem, path: string): Promise<void> {
  for (const name of await keptIn(fs, path)) {
    // The next open sees to what stays.
    await fs.remove(join(path, name)).catch(() => {});
  }
}

async function keptIn(fs: FileSystem, path: string): Promise<string[]> {
  const names = (await fs.readdir(path)).map(({ name }) => name);
  return names.filter((name) => name.endsWith(KEPT) && isLog(name.slice(0, -KEPT.length))).sort();
}

async function wasPassedOver(fs: FileSystem, path: string): Promise<boolean> {
  try {
    return PASSED_OVER.test(Buffer.from(await fs.readFile(join(path, 'LOG'))).toString('latin1'));
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false;
    throw error;
  }
}

function isLog(name: string): boolean {
  return /^\d+\.log$/.test(name);
}
