import { stat, statfs } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { isErrno, isErrorLike, TephraError } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';
import { formatValue } from '../forms/units.ts';
import type { CliIo } from '../io.ts';
import { bad, ok, warn, type Finding } from './finding.ts';

/** Opens and closes a data directory's lock: throws `data_dir_in_use`, `data_dir_unusable`, ... */
export type TryDirectory = (path: string) => Promise<{ readonly incarnation: number }>;

/** Directory, lock, space and clock, as far as each can be told. */
export async function checkDirectory(
  path: string,
  ballastBytes: number,
  tryDirectory: TryDirectory,
  io: CliIo,
): Promise<Finding[]> {
  const here = resolve(path);
  const findings: Finding[] = [];
  const present = await kindOf(here);
  if (present === 'other') {
    const advice = 'choose a directory: --data-dir DIR';
    return [bad('directory', `${here} is a file`, advice)];
  }
  const exists = present === 'directory';
  const nearest = exists ? here : await nearestDirectory(here);
  if (exists && (await kindOf(join(here, 'store.json'))) !== 'none') {
    findings.push(...(await tryLock(here, tryDirectory)));
  } else {
    findings.push(...(await checkNew(here, nearest, exists)));
  }
  findings.push(await checkSpace(nearest, ballastBytes));
  findings.push(await checkClock(here, io));
  return findings;
}

async function tryLock(path: string, tryDirectory: TryDirectory): Promise<Finding[]> {
  try {
    const { incarnation } = await tryDirectory(path);
    const times = incarnation === 1 ? 'once' : `${incarnation} times`;
    return [
      ok('directory', `${path} is a data directory, opened ${times} so far`),
      ok('lock', 'nobody holds it'),
    ];
  } catch (error) {
    const { reason, detail } = TephraError.from(error);
    if (reason === 'data_dir_in_use') {
      return [ok('directory', `${path} is a data directory`), ok('lock', detail)];
    }
    const advice =
      reason === 'unknown_format_version'
        ? 'start the newer Tephra that wrote it; nothing was touched'
        : `make it readable and writable for this user; if it is damaged, look with: tephra verify --data-dir ${path}`;
    return [bad('directory', detail, advice)];
  }
}

async function checkNew(path: string, nearest: string, exists: boolean): Promise<Finding[]> {
  const { access, constants, readdir } = await import('node:fs/promises');
  try {
    await access(nearest, constants.W_OK | constants.X_OK);
  } catch {
    return [
      bad(
        'directory',
        `${nearest} is not writable for this user`,
        `give it to this user (chown), or choose another: --data-dir DIR`,
      ),
    ];
  }
  if (exists && (await readdir(path)).length > 0) {
    return [
      bad(
        'directory',
        `${path} holds files and is no data directory`,
        'choose an empty or new directory: --data-dir DIR',
      ),
    ];
  }
  return [ok('directory', `${path} will be made at the first start`)];
}

/** Space that lasts for a while, as a part of the disk. */
const FREE_PART_WANTED = 0.05;

async function checkSpace(path: string, ballastBytes: number): Promise<Finding> {
  const { bavail, bsize, blocks } = await statfs(path);
  const free = bavail * bsize;
  const found = `${bytes(free)} free of ${bytes(blocks * bsize)}`;
  const needed = LIMITS.diskFreeBytesMin + ballastBytes;
  if (free < needed) {
    return bad(
      'space',
      found,
      `free at least ${bytes(needed)}, or choose another disk: --data-dir DIR`,
    );
  }
  if (free < FREE_PART_WANTED * blocks * bsize) {
    return warn('space', found, 'free some, or keep less: --retention-minutes, --retention-raw');
  }
  return ok('space', found);
}

/** The clock went back if what was written last lies in the future. 2024: before Tephra was. */
async function checkClock(path: string, io: CliIo): Promise<Finding> {
  const nowMs = io.clock.nowMs();
  const found = new Date(nowMs).toISOString();
  const advice = 'set it, and have it kept: timedatectl set-ntp true';
  if (nowMs < Date.UTC(2024, 0)) return bad('clock', `it is ${found} here`, advice);
  const last = await stat(join(path, 'high-water')).catch(() => undefined);
  if (last !== undefined && last.mtimeMs > nowMs + SLACK_MS) {
    const when = new Date(last.mtimeMs).toISOString();
    return bad('clock', `it is ${found} here, and the directory was written at ${when}`, advice);
  }
  return ok('clock', found);
}

/** File systems round times. */
const SLACK_MS = 5_000;

async function kindOf(path: string): Promise<'directory' | 'other' | 'none'> {
  try {
    return (await stat(path)).isDirectory() ? 'directory' : 'other';
  } catch (error) {
    if (isErrno(error, 'ENOENT') || isErrno(error, 'ENOTDIR')) return 'none';
    throw new TephraError('data_dir_unusable', isErrorLike(error) ? error.message : path);
  }
}

async function nearestDirectory(path: string): Promise<string> {
  let at = dirname(path);
  while ((await kindOf(at)) === 'none' && at !== dirname(at)) at = dirname(at);
  return at;
}

function bytes(amount: number): string {
  return formatValue(BigInt(Math.round(amount)), 'bytes');
}
