/**
 * Which volumes were in use when the process died. LevelDB can end the process on a damaged volume
 * (an assertion, or a mapped table that was cut), and no `catch` sees that; the next process would
 * run into it again. So the first operation on a volume marks it and the last one clears it:
 *
 *     slots:   per slot  u32 CRC-32 of the volume's name | u32 1 while operations are pending, else 0
 *
 * The writes go to the page cache alone, which survives the process; after a power cut the machine
 * is to blame, not the volume. At the next start a mark is a strike, kept in `strikes.json`; a
 * volume with two within LIMITS.strikeWindowMs is a suspect (see suspect.ts).
 */
import { join } from 'node:path';
import { ByteReader, ByteWriter, utf8 } from '../../../base/bytes.ts';
import { crc32 } from '../../../base/crc32.ts';
import { isErrno } from '../../../base/errors.ts';
import { type FileSystem, type PositionedFile, replaceFile } from '../../../base/file-system.ts';
import { LIMITS } from '../../../base/limits.ts';

const SLOT_BYTES = 8;
/** A page of the file system: 512 volumes. */
const SLOTS_BYTES = 4_096;
const STRIKES_FOR_SUSPICION = 2;

/** The open slot file. */
export class AbortSlots {
  readonly #file: PositionedFile;
  #used = 0;

  constructor(file: PositionedFile) {
    this.#file = file;
  }

  /** A fresh slot for the volume `name`. */
  slotFor(name: string): AbortSlot {
    const offset = this.#used * SLOT_BYTES;
    this.#used++;
    const pending = encodeSlot(name, true);
    const idle = encodeSlot(name, false);
    return {
      mark: () => this.#write(offset, pending),
      clear: () => this.#write(offset, idle),
    };
  }

  #write(offset: number, bytes: Uint8Array): void {
    try {
      this.#file.writeAt(offset, bytes);
    } catch {
      // The file only advises: on a full disk, say, reads go on without it.
    }
  }

  /** Releases the file. */
  close(): void {
    this.#file.close();
  }
}

/** The 8 bytes of one volume. */
export interface AbortSlot {
  /** Before the first pending operation. */
  mark(): void;
  /** After the last one. */
  clear(): void;
}

/** What {@link openAbortSlots} found. */
export interface OpenedSlots {
  readonly slots: AbortSlots;
  /** Volumes that were in use at two or more deaths of the process lately. */
  readonly suspects: ReadonlySet<string>;
}

/**
 * Reads the slots that the last process left in `directory`, counts strikes for those of `volumes`
 * that are marked, and opens the file anew.
 */
export async function openAbortSlots(
  fs: FileSystem,
  directory: string,
  volumes: readonly string[],
  nowMs: number,
): Promise<OpenedSlots> {
  const slotsPath = join(directory, 'slots');
  const strikesPath = join(directory, 'strikes.json');
  const marked = markedNames(await readIfPresent(fs, slotsPath), volumes);
  const strikes = recentStrikes(await readIfPresent(fs, strikesPath), nowMs);
  if (marked.length > 0) {
    for (const name of marked) strikes.set(name, [...(strikes.get(name) ?? []), nowMs]);
    // Before the slots are cleared: a process that dies at once again must find both.
    const text = JSON.stringify({ format: 1, strikes: Object.fromEntries(strikes) });
    await replaceFile(fs, strikesPath, utf8(`${text}\n`));
  }
  // Room for all slots now: to mark one must not need any on a full disk.
  await fs.writeFile(slotsPath, new Uint8Array(SLOTS_BYTES));
  const suspects = new Set<string>();
  for (const [name, times] of strikes) {
    if (times.length >= STRIKES_FOR_SUSPICION) suspects.add(name);
  }
  return { slots: new AbortSlots(fs.openPositioned(slotsPath)), suspects };
}

function encodeSlot(name: string, pending: boolean): Uint8Array {
  return new ByteWriter(SLOT_BYTES)
    .u32(crc32(utf8(name)))
    .u32(pending ? 1 : 0)
    .finish();
}

function markedNames(bytes: Uint8Array | undefined, volumes: readonly string[]): string[] {
  const pending = new Set<number>();
  const reader = new ByteReader(bytes ?? new Uint8Array(0), 'slots');
  while (reader.left >= SLOT_BYTES) {
    const crc = reader.u32();
    if (reader.u32() !== 0) pending.add(crc);
  }
  return volumes.filter((name) => pending.has(crc32(utf8(name))));
}

/** Strikes younger than the window, by volume. The file only advises: what is odd in it is dropped. */
function recentStrikes(bytes: Uint8Array | undefined, nowMs: number): Map<string, number[]> {
  const strikes = new Map<string, number[]>();
  if (bytes === undefined) return strikes;
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    return strikes;
  }
  if (typeof value !== 'object' || value === null || !('strikes' in value)) return strikes;
  for (const [name, times] of Object.entries(value.strikes ?? {})) {
    if (!Array.isArray(times)) continue;
    const recent = times.filter(
      (time): time is number =>
        typeof time === 'number' && Math.abs(nowMs - time) < LIMITS.strikeWindowMs,
    );
    if (recent.length > 0) strikes.set(name, recent);
  }
  return strikes;
}

async function readIfPresent(fs: FileSystem, path: string): Promise<Uint8Array | undefined> {
  try {
    return await fs.readFile(path);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}
