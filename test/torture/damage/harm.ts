/** Ways to harm one file of a data directory. */
import { copyFileSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { Dice } from '../../model/dice.ts';

/** What was done to what. */
export interface Harm {
  readonly how: 'flip' | 'zero' | 'cut' | 'remove' | 'swap';
  /** Kind of file: the count of each shows the reach. */
  readonly kind: string;
  /** Path within the directory. */
  readonly file: string;
  readonly detail: string;
}

/** What a file of a data directory is; undefined for those that hold nothing of ours. */
function kindOf(file: string): string | undefined {
  if (/\/(?:LOG|LOG\.old|LOCK)$/.test(file)) return undefined;
  if (file.startsWith('lock/')) return 'lock';
  const name = file.slice(file.lastIndexOf('/') + 1);
  if (name.endsWith('.ldb')) return 'table';
  if (name.endsWith('.log')) return 'log';
  if (name.startsWith('MANIFEST')) return 'MANIFEST';
  return name;
}

/** Kinds whose damage refuses the start: they hide whatever else is harmed. */
const REFUSING = new Set(['lock', 'store.json']);
/** Harms of one directory: most damage comes alone, some together. */
const TOGETHER = { one: 3, two: 3, four: 4 } as const;

/** Harms a few files of the directory at `path`: see {@link harm}. */
export function harmSome(path: string, dice: Dice): Harm[] {
  const done = [harm(path, dice, () => true)];
  if (done.some(({ kind }) => REFUSING.has(kind))) return done;
  const count = { one: 1, two: 2, four: 4 }[dice.weighted(TOGETHER)];
  while (done.length < count) done.push(harm(path, dice, (kind) => !REFUSING.has(kind)));
  return done;
}

/** Harms one file of the directory at `path`, each kind of file as likely as another, tables more. */
function harm(path: string, dice: Dice, isMeant: (kind: string) => boolean): Harm {
  const how = dice.weighted({ flip: 5, zero: 2, cut: 2, remove: 1, swap: 1 });
  const byKind = filesByKind(path, how === 'flip' || how === 'zero' || how === 'cut');
  const kinds = [...byKind]
    .filter(([kind, { length }]) => isMeant(kind) && length > (how === 'swap' ? 1 : 0))
    .map(([kind]) => kind)
    .toSorted();
  const stores = kinds.filter((kind) => kind === 'table' || kind === 'log');
  const kind = dice.pick(stores.length > 0 && dice.chance(50) ? stores : kinds);
  const files = (byKind.get(kind) ?? []).toSorted();
  const file = dice.pick(files);
  const place = join(path, file);
  const bytes = readFileSync(place);
  const size = bytes.byteLength;
  const done = (detail: string): Harm => ({ how, kind, file, detail });
  switch (how) {
    case 'flip': {
      const at = dice.whole(0, size - 1);
      const bit = dice.whole(0, 7);
      bytes[at] = (bytes[at] as number) ^ (1 << bit);
      writeFileSync(place, bytes);
      return done(`bit ${bit} at ${at}`);
    }
    case 'zero': {
      const length = dice.pick([16, 512, 4_096]);
      const at = dice.whole(0, Math.max(0, size - 1));
      bytes.fill(0, at, Math.min(size, at + length));
      writeFileSync(place, bytes);
      return done(`${length} bytes at ${at}`);
    }
    case 'cut': {
      const left = dice.whole(0, Math.max(0, size - 1));
      writeFileSync(place, bytes.subarray(0, left));
      return done(`to ${left} of ${size} bytes`);
    }
    case 'remove':
      rmSync(place);
      return done('');
    case 'swap': {
      const other = join(path, dice.pick(files.filter((one) => one !== file)));
      copyFileSync(other, `${place}.swap`);
      writeFileSync(other, bytes);
      copyFileSync(`${place}.swap`, place);
      rmSync(`${place}.swap`);
      return done(`with ${relative(path, other)}`);
    }
  }
}

/** Paths within the directory by kind; those that hold a byte only, if `filled`. */
function filesByKind(path: string, filled: boolean): Map<string, string[]> {
  const byKind = new Map<string, string[]>();
  for (const entry of readdirSync(path, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const place = join(entry.parentPath, entry.name);
    const file = relative(path, place);
    const kind = kindOf(file);
    if (kind === undefined || (filled && statSync(place).size === 0)) continue;
    byKind.set(kind, [...(byKind.get(kind) ?? []), file]);
  }
  return byKind;
}
