/** Builds the layer between a process and its disk, and speaks to it from within such a process. */
import { spawnSync } from 'node:child_process';
import { openSync } from 'node:fs';
import { join } from 'node:path';

/** Why the shim cannot be used here, or its path. */
export type Shim = { readonly path: string } | { readonly skipped: string };

/** Compiles the shim into `folder`. */
export function buildShim(folder: string): Shim {
  if (process.platform !== 'linux') return { skipped: `no LD_PRELOAD on ${process.platform}` };
  const path = join(folder, 'shim.so');
  const source = join(import.meta.dirname, 'shim.c');
  for (const compiler of ['cc', 'gcc']) {
    const args = ['-shared', '-fPIC', '-O2', '-o', path, source, '-ldl', '-lpthread'];
    const { status } = spawnSync(compiler, args, { stdio: 'ignore' });
    if (status === 0) return { path };
  }
  return { skipped: 'no C compiler (cc, gcc)' };
}

/** The environment of a process behind the shim. `fast`: a sync is only recorded, never waited for. `room`: bytes that the disk has free. */
export function behindShim(
  shim: string,
  root: string,
  options: { readonly journal?: string; readonly fast?: boolean; readonly room?: number } = {},
): NodeJS.ProcessEnv {
  return {
    ...process.env,
    LD_PRELOAD: shim,
    TORTURE_ROOT: root,
    TORTURE_JOURNAL: options.journal ?? '',
    TORTURE_ROOM: String(options.room ?? ''),
    ...(options.fast === true ? { TORTURE_FAST: '1' } : {}),
    // Node's calls must be calls.
    UV_USE_IO_URING: '0',
  };
}

/** Kinds of calls that can fail. */
export const CALLS = ['open', 'write', 'flush', 'fsync', 'rename', 'unlink'] as const;
/** A kind of call. */
export type Call = (typeof CALLS)[number];
/** Errors that they fail with. */
export const ERRNOS = { EIO: 5, EMFILE: 24, ENOSPC: 28 } as const;
/** The name of an error. */
export type Errno = keyof typeof ERRNOS;

/** Lets the k-th call of a kind fail, from now on, once. */
export function arm(call: Call, k: number, errno: Errno): void {
  command(`arm/${call}/${k}/${ERRNOS[errno]}`);
}

/** Lets nothing fail any more, and forgets what did. */
export function disarm(): void {
  command('off');
}

/** Whether the armed call has failed. */
export function hasFired(): boolean {
  return command('fired') === 'EEXIST';
}

/** Whether something was written on a file after a write, flush or fsync of it had failed. */
export function isViolated(): boolean {
  return command('violated') === 'EEXIST';
}

/** Puts a text into the journal, in order with what happens to the disk. */
export function note(text: string): void {
  command(`note/${text}`);
}

/**
 * Leaves so many bytes free on the disk, from now on. `late`: writes land all the same, and the sync
 * behind them fails, as on disks that look for room when they must write.
 */
export function setRoom(bytes: number, late = false): void {
  command(`${late ? 'late' : 'room'}/${bytes}`);
}

function command(text: string): string | undefined {
  try {
    openSync(`/torture-control/${text}`, 'r');
  } catch (error) {
    return (error as { code?: string }).code;
  }
  return undefined;
}
