/**
 * How a blob lies in a volume (docs/format/volume.md):
 *
 *     P/<key>/<n>   page n (4 decimal digits): the next PAGE_BYTES of the blob, the last one shorter
 *     h/<key>       u8 format = 2 | varint size | varint page bytes | varint page count
 *                   | u32 CRC-32 of each page | u32 CRC-32 of all before
 *
 * Each checksum begins with the full LevelDB key, so that right bytes in the wrong place are damage
 * too. The header is written last: without it the blob is not there.
 *
 * Pages come before all other keys. LevelDB's tables are ranges of keys: were there any in front, each table
 * that it writes would reach over all pages of those before it, and be merged with them again and again
 * (measured: 14 ms of CPU a MiB of fragments, so 8). In format 1 they lay behind the headers, at `p/`; that
 * is read still.
 */
import { ByteReader, ByteWriter, utf8 } from '../../../base/bytes.ts';
import { crc32 } from '../../../base/crc32.ts';
import { TephraError } from '../../../base/errors.ts';

/**
 * Bytes of a page. Small enough that a range read of a few columns copies and checks little, large
 * enough that LevelDB's cost per value (about 7 us) is far below the checksum's (3 GB/s) and a
 * 64 MiB blob has 1,024.
 */
export const PAGE_BYTES = 64 * 1024;

/** What keys of pages begin with: in format 1, and now. */
export type PageFolder = 'p' | 'P';

/** By format of the header. */
const FOLDERS: ReadonlyMap<number, PageFolder> = new Map([
  [1, 'p'],
  [2, 'P'],
]);
const FORMAT = 2;

/** The header of a blob. */
export interface BlobHeader {
  readonly folder: PageFolder;
  /** Bytes of the blob. */
  readonly size: number;
  readonly pageBytes: number;
  /** CRC-32 of each page, bound to its key. */
  readonly crcs: readonly number[];
}

/** LevelDB key of the header of `key`. */
export function headerKey(key: string): string {
  return `h/${key}`;
}

/** LevelDB key of page `index` of `key`. */
export function pageKey(key: string, index: number, folder: PageFolder = 'P'): string {
  return `${pagesPrefix(key, folder)}${String(index).padStart(4, '0')}`;
}

/** What the keys of all pages of `key` begin with. */
export function pagesPrefix(key: string, folder: PageFolder): string {
  return `${folder}/${key}/`;
}

/** A page on its way to the store. `bytes` is a view of the blob. */
export interface Page {
  readonly key: string;
  readonly bytes: Uint8Array;
  readonly crc: number;
}

/** The pages of a blob, in order; none for an empty one. */
export function splitPages(key: string, bytes: Uint8Array): Page[] {
  const pages: Page[] = [];
  for (let at = 0; at < bytes.byteLength; at += PAGE_BYTES) {
    const name = pageKey(key, pages.length);
    const part = bytes.subarray(at, at + PAGE_BYTES);
    pages.push({ key: name, bytes: part, crc: keyedCrc(name, part) });
  }
  return pages;
}

/** CRC-32 over the key, then the bytes. */
export function keyedCrc(key: string, bytes: Uint8Array): number {
  return crc32(bytes, crc32(utf8(key)));
}

/** Bytes of the header of `key` for a blob of `size` bytes in these pages. */
export function encodeHeader(key: string, size: number, crcs: readonly number[]): Uint8Array {
  const writer = new ByteWriter(32 + crcs.length * 4);
  writer.u8(FORMAT).varint(size).varint(PAGE_BYTES).varint(crcs.length);
  for (const crc of crcs) writer.u32(crc);
  return writer.u32(keyedCrc(headerKey(key), writer.view())).finish();
}

/** Reads a header; throws `corrupt_block` on damage, `unknown_format_version` on a newer one. */
export function decodeHeader(key: string, bytes: Uint8Array): BlobHeader {
  const reader = new ByteReader(bytes, `header of ${key}`);
  if (bytes.byteLength < 4) reader.fail('shorter than its checksum');
  const end = bytes.byteLength - 4;
  const stated = new ByteReader(bytes, `header of ${key}`, end).u32();
  if (stated !== keyedCrc(headerKey(key), bytes.subarray(0, end))) reader.fail('wrong checksum');
  const format = reader.u8();
  const folder = FOLDERS.get(format);
  if (folder === undefined) {
    throw new TephraError(
      'unknown_format_version',
      `header of ${key}: format ${format}, ${FORMAT} is the newest that is read`,
    );
  }
  const size = reader.varint();
  const pageBytes = reader.varint();
  const count = reader.varint();
  if (pageBytes === 0 || count !== Math.ceil(size / pageBytes)) reader.fail('page count off');
  if (reader.left !== (count + 1) * 4) reader.fail('checksum list off');
  const crcs: number[] = [];
  for (let i = 0; i < count; i++) crcs.push(reader.u32());
  return { folder, size, pageBytes, crcs };
}
