/**
 * Names and sizes of a closed volume's tables. LevelDB maps tables into memory: reading one that was
 * cut ends the process (SIGBUS), which no `catch` sees. So they are compared before it opens them.
 */
import { join } from 'node:path';
import { utf8 } from '../../../base/bytes.ts';
import { isErrno, TephraError } from '../../../base/errors.ts';
import type { FileSystem } from '../../../base/file-system.ts';

const FILE = 'tables.json';

/** Writes down the tables of a volume that was closed in good order. */
export async function recordTables(fs: FileSystem, path: string): Promise<void> {
  const sizes: Record<string, number> = {};
  for (const { name } of await fs.readdir(path)) {
    if (isTable(name)) sizes[name] = (await fs.stat(join(path, name))).size;
  }
  const file = join(path, FILE);
  await fs.writeFile(`${file}.new`, utf8(`${JSON.stringify({ format: 1, sizes })}\n`));
  await fs.rename(`${file}.new`, file);
}

/**
 * Compares what was written down, if anything was. Throws `volume_quarantined` where a table has
 * another size; one that is missing LevelDB tells itself. What does not parse says nothing.
 */
export async function checkTables(fs: FileSystem, path: string): Promise<void> {
  for (const [name, size] of await recorded(fs, path)) {
    let found: number | undefined;
    try {
      found = (await fs.stat(join(path, name))).size;
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw error;
    }
    if (found !== undefined && found !== size) {
      throw new TephraError('volume_quarantined', `${name} has ${found} bytes, expected ${size}`);
    }
  }
}

/** Forgets the record durably: from here on LevelDB changes the tables. Resolves to whether there was one. */
export async function forgetTables(fs: FileSystem, path: string): Promise<boolean> {
  try {
    await fs.stat(join(path, FILE));
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false;
    throw error;
  }
  await fs.remove(join(path, FILE));
  await fs.syncDirectory(path);
  return true;
}

function isTable(name: string): boolean {
  return /^\d+\.(?:ldb|sst)$/.test(name);
}

async function recorded(fs: FileSystem, path: string): Promise<[string, number][]> {
  try {
    const bytes = await fs.readFile(join(path, FILE));
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
    if (typeof value !== 'object' || value === null || !('sizes' in value)) return [];
    return Object.entries(value.sizes ?? {}).filter(
      (row): row is [string, number] => isTable(row[0]) && typeof row[1] === 'number',
    );
  } catch {
    // Never written, or damaged itself: LevelDB's own checks remain.
    return [];
  }
}
