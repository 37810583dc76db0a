import type { SourceFile } from './source-file.ts';
import { lineAt } from './source-file.ts';

/** The only files, or folders with a slash at the end, that may touch the disk. */
export const DISK: readonly string[] = [
  'src/base/file-system.ts', // the machine's file system as an argument for all others
  'src/cli/', // profiles in, reports out
  'src/config/load.ts',
  'src/storage/blob-store/',
  'src/storage/data-directory/',
];

/** Imports of the file system by files that are not in {@link DISK}. */
export function diskComplaints(file: SourceFile): string[] {
  const allowed = DISK.some((path) =>
    path.endsWith('/') ? file.path.startsWith(path) : file.path === path,
  );
  if (allowed) return [];
  return [...file.text.matchAll(/(?:from|import)\s*\(?\s*'(?:node:)?fs(?:\/promises)?'/g)].map(
    (match) => `${file.path}:${lineAt(file.text, match.index)}: only stores touch the disk`,
  );
}
