/**
 * The highest sequence number that was acknowledged, per incarnation and shard, kept outside of
 * LevelDB: a log that lost its tail opens without a word, and only this file then tells.
 *
 *     u8 format = 1 | varint rows | per row: varint incarnation, varint shard, varint seq
 *     | u32 CRC-32 of all before
 */
import { ByteReader, ByteWriter } from '../../base/bytes.ts';
import { crc32 } from '../../base/crc32.ts';
import { isErrno, TephraError } from '../../base/errors.ts';
import { type FileSystem, replaceFile } from '../../base/file-system.ts';

const FORMAT = 1;

/** The highest acknowledged `seq` of a shard in an incarnation. */
export interface HighWaterMark {
  readonly incarnation: number;
  readonly shard: number;
  readonly seq: number;
}

/** The high-water file of a data directory. */
export interface HighWater {
  /** Replaces all marks durably; calls run one after another. Rejects with system errors. */
  write(marks: readonly HighWaterMark[]): Promise<void>;
  /** The marks of the last completed write; empty before the first. Throws `corrupt_block`. */
  read(): Promise<readonly HighWaterMark[]>;
}

/** The high-water file at `path`. */
export function createHighWater(fs: FileSystem, path: string): HighWater {
  let last: Promise<void> = Promise.resolve();
  return {
    write(marks) {
      const bytes = encodeHighWater(marks);
      // A failed write was told to its own caller and does not stop the next.
      last = last.catch(() => {}).then(() => replaceFile(fs, path, bytes));
      return last;
    },
    async read() {
      try {
        return decodeHighWater(await fs.readFile(path));
      } catch (error) {
        if (isErrno(error, 'ENOENT')) return [];
        throw error;
      }
    },
  };
}

/** Bytes of the file. */
export function encodeHighWater(marks: readonly HighWaterMark[]): Uint8Array {
  const writer = new ByteWriter().u8(FORMAT).varint(marks.length);
  for (const { incarnation, shard, seq } of marks) {
    writer.varint(incarnation).varint(shard).varint(seq);
  }
  return writer.u32(crc32(writer.view())).finish();
}

/** Reads the file; throws `corrupt_block`, or `unknown_format_version` for a newer one. */
export function decodeHighWater(bytes: Uint8Array): HighWaterMark[] {
  const reader = new ByteReader(bytes, 'high-water file');
  if (bytes.byteLength < 4) reader.fail('shorter than its checksum');
  const end = bytes.byteLength - 4;
  const stated = new ByteReader(bytes, 'high-water file', end).u32();
  if (stated !== crc32(bytes.subarray(0, end))) reader.fail('wrong checksum');
  const format = reader.u8();
  if (format !== FORMAT) {
    throw new TephraError(
      'unknown_format_version',
      `high-water file: expected format ${FORMAT}, found ${format}`,
    );
  }
  const marks: HighWaterMark[] = [];
  for (let left = reader.varint(); left > 0; left--) {
    marks.push({ incarnation: reader.varint(), shard: reader.varint(), seq: reader.varint() });
  }
  reader.u32();
  reader.expectEnd();
  return marks;
}
