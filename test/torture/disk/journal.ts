/** What a disk holds after a power cut at any point of a journal that shim.c wrote. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Dice } from '../../model/dice.ts';

/** A record of the journal. */
export interface Entry {
  readonly op: string;
  readonly fd: number;
  readonly number: number;
  readonly bytes: Buffer;
}

const HEAD_BYTES = 17;
const O_CREAT = 0o100;
const O_TRUNC = 0o1000;

/** The records of a journal. */
export function* readJournal(bytes: Buffer): Iterable<Entry> {
  for (let at = 0; at + HEAD_BYTES <= bytes.length;) {
    const length = bytes.readUInt32LE(at + 13);
    const end = at + HEAD_BYTES + length;
    if (end > bytes.length) return;
    yield {
      op: String.fromCharCode(bytes[at] ?? 0),
      fd: bytes.readInt32LE(at + 1),
      number: Number(bytes.readBigInt64LE(at + 5)),
      bytes: bytes.subarray(at + HEAD_BYTES, end),
    };
    at = end;
  }
}

interface Inode {
  readonly isDirectory: boolean;
  data: Buffer;
  size: number;
  /** What a sync made durable. */
  durable: Buffer;
}

/** A change of names that no sync has made durable yet. */
interface Change {
  readonly folders: readonly string[];
  readonly created: Inode | undefined;
  readonly apply: (names: Map<string, Inode>) => void;
}

/**
 * A file system of which only that survives a cut which was synced: the bytes of a file by its own
 * fsync, a name by the fsync of its folder, and the name of a new file by its own fsync too, as on
 * every journaling file system in use.
 */
export class Disk {
  readonly #names = new Map<string, Inode>();
  readonly #durable = new Map<string, Inode>();
  readonly #open = new Map<number, { readonly inode: Inode; readonly path: string }>();
  #changes: Change[] = [];

  /** Takes one record. True if it is a sync that made something durable. */
  take({ op, fd, number, bytes }: Entry): boolean {
    switch (op) {
      case 'O':
        this.#opened(fd, bytes.toString(), number);
        return false;
      case 'C':
        this.#open.delete(fd);
        return false;
      case 'W':
        this.#wrote(fd, number, bytes);
        return false;
      case 'T':
        this.#truncated(fd, number);
        return false;
      case 'S':
        return this.#synced(fd);
      case 'M':
        this.#create(bytes.toString(), true);
        return false;
      case 'U':
        this.#change([dirname(bytes.toString())], undefined, (names) => {
          names.delete(bytes.toString());
        });
        return false;
      case 'R': {
        const [from = '', to = ''] = bytes.toString().split('\n');
        this.#change([dirname(from), dirname(to)], undefined, (names) => rename(names, from, to));
        return false;
      }
      default:
        return false;
    }
  }

  #opened(fd: number, path: string, flags: number): void {
    let inode = this.#names.get(path);
    if (inode === undefined) inode = this.#create(path, (flags & O_CREAT) === 0);
    else if ((flags & O_TRUNC) !== 0) inode.size = 0;
    this.#open.set(fd, { inode, path });
  }

  #create(path: string, isDirectory: boolean): Inode {
    const inode = { isDirectory, data: Buffer.alloc(256), size: 0, durable: Buffer.alloc(0) };
    this.#change([dirname(path)], inode, (names) => names.set(path, inode));
    return inode;
  }

  #change(folders: readonly string[], created: Inode | undefined, apply: Change['apply']): void {
    apply(this.#names);
    this.#changes.push({ folders, created, apply });
  }

  #wrote(fd: number, offset: number, bytes: Buffer): void {
    const inode = this.#open.get(fd)?.inode;
    if (inode === undefined) return;
    const at = offset < 0 ? inode.size : offset;
    const end = at + bytes.length;
    if (end > inode.data.length) {
      const grown = Buffer.alloc(Math.max(end, inode.data.length * 2));
      inode.data.copy(grown, 0, 0, inode.size);
      inode.data = grown;
    }
    if (at > inode.size) inode.data.fill(0, inode.size, at);
    bytes.copy(inode.data, at);
    inode.size = Math.max(inode.size, end);
  }

  #truncated(fd: number, size: number): void {
    const inode = this.#open.get(fd)?.inode;
    if (inode === undefined) return;
    if (size > inode.size) this.#wrote(fd, inode.size, Buffer.alloc(size - inode.size));
    inode.size = size;
  }

  #synced(fd: number): boolean {
    const file = this.#open.get(fd);
    if (file === undefined) return false;
    const { inode, path } = file;
    const isDurable = inode.isDirectory
      ? (change: Change): boolean => change.folders.includes(path)
      : (change: Change): boolean => change.created === inode;
    if (!inode.isDirectory) inode.durable = Buffer.from(inode.data.subarray(0, inode.size));
    const left: Change[] = [];
    for (const change of this.#changes) {
      if (isDurable(change)) change.apply(this.#durable);
      else left.push(change);
    }
    this.#changes = left;
    return true;
  }

  /**
   * Writes what a cut leaves below `into`, in place of `from`. Without dice all that was not synced is
   * lost; with dice some of it survives: the first of the changed names, the first bytes of each tail.
   */
  leave(from: string, into: string, dice?: Dice): void {
    const names = new Map(this.#durable);
    const kept = dice === undefined ? 0 : dice.whole(0, this.#changes.length);
    for (const change of this.#changes.slice(0, kept)) change.apply(names);
    const isThere = (path: string): boolean =>
      path === from || (names.get(path)?.isDirectory === true && isThere(dirname(path)));
    mkdirSync(into, { recursive: true });
    for (const [path, inode] of [...names].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
      if (!path.startsWith(`${from}/`) || !isThere(dirname(path))) continue;
      const target = into + path.slice(from.length);
      if (inode.isDirectory) mkdirSync(target, { recursive: true });
      else writeFileSync(target, contentOf(inode, dice));
    }
  }
}

function contentOf({ data, size, durable }: Inode, dice: Dice | undefined): Buffer {
  if (dice === undefined) return durable;
  const present = data.subarray(0, size);
  const grown = size >= durable.length && durable.equals(present.subarray(0, durable.length));
  if (!grown) return dice.chance(50) ? durable : present;
  return present.subarray(0, durable.length + dice.whole(0, size - durable.length));
}

function rename(names: Map<string, Inode>, from: string, to: string): void {
  for (const [path, inode] of names) {
    if (path !== from && !path.startsWith(`${from}/`)) continue;
    names.delete(path);
    names.set(to + path.slice(from.length), inode);
  }
}
