import { dirname, join } from 'node:path';
import { isErrno, TephraError } from '../../../base/errors.ts';
import type { FileSystem } from '../../../base/file-system.ts';
import { type Random, randomName } from '../../../base/random.ts';
import { isVolume } from '../key.ts';
import { openLevel } from './handle.ts';
import { type VolumeMarker, writeMarker } from './volume-marker.ts';

const BUILDING = 'new-';
const TRASH = 'trash-';

/**
 * Names of the volumes under `root` (`<root>/<kind>/<period>`). Removes what a crash left of volumes
 * that were being built or dropped. Files are ignored; a symbolic link is refused with
 * `data_dir_unusable`, because to drop or sync through one would touch foreign directories.
 */
export async function scanVolumes(fs: FileSystem, root: string): Promise<string[]> {
  const names: string[] = [];
  for (const kind of await directoriesIn(fs, root)) {
    const folder = join(root, kind);
    for (const period of await directoriesIn(fs, folder)) {
      if (period.startsWith(BUILDING) || period.startsWith(TRASH)) {
        await fs.remove(join(folder, period));
      } else if (isVolume(`${kind}/${period}`)) {
        names.push(`${kind}/${period}`);
      }
    }
  }
  return names;
}

/**
 * Builds an empty volume at `path` (`<root>/<kind>/<period>`): complete under a name that nobody
 * reads, then renamed, so that a crash leaves a whole volume or none.
 */
export async function createVolume(
  fs: FileSystem,
  random: Random,
  path: string,
  marker: VolumeMarker,
  bufferBytes: number,
): Promise<void> {
  const folder = dirname(path);
  await ensureDirectory(fs, folder);
  let place = join(folder, BUILDING + randomName(random));
  try {
    // LevelDB would make it too, but Node tells ENOENT where that fails for lack of space.
    await fs.mkdir(place);
    const level = await openLevel(place, { bufferBytes, mode: 'new' });
    await level.close();
    await writeMarker(fs, place, marker);
    await fs.syncDirectory(place);
    await fs.rename(place, path);
    place = path;
    await fs.syncDirectory(folder);
  } catch (error) {
    // Nothing is in it yet. Best effort: what stays under its first name goes at the next start.
    await fs.remove(place).catch(() => {});
    throw error;
  }
}

/** Renames a closed volume out of sight and returns where it lies now. Not durable yet. */
export async function discardVolume(fs: FileSystem, random: Random, path: string): Promise<string> {
  const trash = join(dirname(path), TRASH + randomName(random));
  await fs.rename(path, trash);
  return trash;
}

/** Creates a directory in an existing one unless it is there, durably. */
export async function ensureDirectory(fs: FileSystem, path: string): Promise<void> {
  try {
    await fs.mkdir(path);
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error;
  }
  // Also where it was there: who made it may have failed at this very call.
  await fs.syncDirectory(dirname(path));
}

async function directoriesIn(fs: FileSystem, path: string): Promise<string[]> {
  const names: string[] = [];
  for (const entry of await fs.readdir(path)) {
    if (entry.kind === 'symlink') {
      throw new TephraError(
        'data_dir_unusable',
        `${join(path, entry.name)} is a symbolic link: move what it leads to in its place`,
      );
    }
    if (entry.kind === 'directory') names.push(entry.name);
  }
  return names;
}
