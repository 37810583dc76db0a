/**
 * What was durable when the marks were written, kept outside of LevelDB: a log that lost its tail
 * opens without a word, and only this file then tells. docs/format/data-directory.md draws the bytes.
 */
import { ByteReader, ByteWriter } from '../../base/bytes.ts';
import { crc32 } from '../../base/crc32.ts';
import { TephraError } from '../../base/errors.ts';

const FORMAT = 1;

/** The fragments of a shard in an incarnation: all of [from, seq] are there, or are listed as skipped. */
export interface FragmentMark {
  readonly incarnation: number;
  readonly shard: number;
  /** The lowest sequence that retention has not dropped. */
  readonly from: number;
  /** The highest that landed; from - 1 if none is left. */
  readonly seq: number;
}

/** The generation of a partition's root. */
export interface RootMark {
  readonly name: string;
  readonly gen: number;
}

/** Content of the high-water file. */
export interface Marks {
  readonly fragments: readonly FragmentMark[];
  readonly roots: readonly RootMark[];
}

/** Bytes of the file. */
export function encodeMarks({ fragments, roots }: Marks): Uint8Array {
  const writer = new ByteWriter().u8(FORMAT).varint(fragments.length);
  for (const { incarnation, shard, from, seq } of fragments) {
    writer.varint(incarnation).varint(shard).varint(from).varint(seq);
  }
  writer.varint(roots.length);
  for (const { name, gen } of roots) writer.text(name).varint(gen);
  return writer.u32(crc32(writer.view())).finish();
}

/** Reads the file; throws `corrupt_block`, or `unknown_format_version` for a newer one. */
export function decodeMarks(bytes: Uint8Array): Marks {
  const what = 'high-water file';
  const reader = new ByteReader(bytes, what);
  if (bytes.byteLength < 4) reader.fail('shorter than its checksum');
  const end = bytes.byteLength - 4;
  const stated = new ByteReader(bytes, what, end).u32();
  if (stated !== crc32(bytes.subarray(0, end))) reader.fail('wrong checksum');
  const format = reader.u8();
  if (format !== FORMAT) {
    throw new TephraError(
      'unknown_format_version',
      `${what}: expected format ${FORMAT}, found ${format}`,
    );
  }
  const fragments: FragmentMark[] = [];
  for (let left = reader.varint(); left > 0; left--) {
    const incarnation = reader.varint();
    const shard = reader.varint();
    fragments.push({ incarnation, shard, from: reader.varint(), seq: reader.varint() });
  }
  const roots: RootMark[] = [];
  for (let left = reader.varint(); left > 0; left--) {
    roots.push({ name: reader.text(), gen: reader.varint() });
  }
  reader.u32();
  reader.expectEnd();
  return { fragments, roots };
}
