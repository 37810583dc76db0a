/**
 * The frame that fragments and blocks share: a header, sections, a directory, a footer.
 *
 *     +---------------------------------------------------------------+
 *     | header (8): magic 4 | version u8 | codec u8 | 0 | 0            |
 *     | sections, each with a CRC-32 in the directory                 |
 *     | directory                                                     |
 *     | footer (16): directory offset u32 | CRC-32 u32 | version u8 |  |
 *     |              codec u8 | 0 | 0 | magic 4                        |
 *     +---------------------------------------------------------------+
 *
 * - The footer's CRC covers the directory and its offset: what is read together. The other bytes of
 *   header and footer have one legal value each and are compared.
 * - Version and magic stand at both ends, so that a reader of the tail alone (one range read of a
 *   fixed size, then one of the directory) and a person with a hex dump both see what they have.
 * - Codec 0 = sections as they are; others are reserved.
 */
import { assert } from '../base/assert.ts';
import { type ByteReader, ByteWriter } from '../base/bytes.ts';
import { crc32 } from '../base/crc32.ts';
import { TephraError } from '../base/errors.ts';

/** Bytes before the first section. */
export const HEADER_BYTES = 8;
/** Bytes of the fixed footer. */
export const FOOTER_BYTES = 16;

/** What tells one kind of file from another. */
export interface Envelope {
  /** For messages: `fragment`. */
  readonly what: string;
  /** Four ASCII characters. */
  readonly magic: string;
  /** The version that is written and the newest that is read. */
  readonly version: number;
}

const CODEC_PLAIN = 0;

/** The header. */
export function writeHeader(writer: ByteWriter, envelope: Envelope): void {
  assert(envelope.magic.length === 4, 'a magic has four characters');
  writer.raw(magicBytes(envelope)).u8(envelope.version).u8(CODEC_PLAIN).u8(0).u8(0);
}

/** Appends the directory and the footer to a file of `writer.size` bytes. */
export function writeDirectory(
  writer: ByteWriter,
  envelope: Envelope,
  directory: Uint8Array,
): void {
  const offset = new ByteWriter(4).u32(writer.size).view();
  writer
    .raw(directory)
    .raw(offset)
    .u32(crc32(offset, crc32(directory)))
    .u8(envelope.version)
    .u8(CODEC_PLAIN)
    .u8(0)
    .u8(0)
    .raw(magicBytes(envelope));
}

/** Checks the header at the start of a file. */
export function checkHeader(reader: ByteReader, envelope: Envelope): void {
  if (!isMagic(reader.raw(4), envelope)) reader.fail('wrong magic');
  checkVersion(reader, envelope);
}

/**
 * Offset of the directory, from the last {@link FOOTER_BYTES} bytes (or more) of a file of
 * `fileBytes`. Throws `corrupt_block`, `unknown_format_version`.
 */
export function readDirectoryAt(footer: ByteReader, envelope: Envelope, fileBytes: number): number {
  footer.seek(footer.at + Math.max(0, footer.left - FOOTER_BYTES));
  const directoryAt = footer.u32();
  footer.u32();
  // The magic is checked first: a torn file is damaged, not new.
  const versionAt = footer.at;
  footer.raw(4);
  if (!isMagic(footer.raw(4), envelope)) footer.fail('wrong magic in the footer');
  footer.seek(versionAt);
  checkVersion(footer, envelope);
  if (directoryAt < HEADER_BYTES || directoryAt > fileBytes - FOOTER_BYTES) {
    footer.fail(`directory offset ${directoryAt} in ${fileBytes} bytes`);
  }
  return directoryAt;
}

/** The directory's bytes out of `tail`, which is the file from the directory to its end. */
export function checkDirectory(tail: Uint8Array, envelope: Envelope): Uint8Array {
  const footerAt = tail.byteLength - FOOTER_BYTES;
  assert(footerAt >= 0, 'the tail of a file holds its footer');
  const stored = new DataView(tail.buffer, tail.byteOffset + footerAt).getUint32(4, true);
  if (crc32(tail.subarray(0, footerAt + 4)) !== stored) {
    throw new TephraError('corrupt_block', `${envelope.what}: the directory fails its checksum`);
  }
  return tail.subarray(0, footerAt);
}

/** Throws `corrupt_block` unless `bytes` has the checksum. */
export function checkSection(bytes: Uint8Array, crc: number, what: string): void {
  if (crc32(bytes) !== crc) throw new TephraError('corrupt_block', `${what} fails its checksum`);
}

function checkVersion(reader: ByteReader, envelope: Envelope): void {
  const version = reader.u8();
  const codec = reader.u8();
  const reserved = reader.u8() + reader.u8();
  if (version === 0) reader.fail('version 0');
  if (version > envelope.version || codec !== CODEC_PLAIN) {
    throw new TephraError(
      'unknown_format_version',
      `${envelope.what}: version ${version}, codec ${codec}; version ${envelope.version} is the newest that is read`,
    );
  }
  if (reserved !== 0) reader.fail('reserved bytes are not zero');
}

function magicBytes(envelope: Envelope): Uint8Array {
  return Buffer.from(envelope.magic, 'latin1');
}

function isMagic(bytes: Uint8Array, envelope: Envelope): boolean {
  return Buffer.from(bytes.buffer, bytes.byteOffset, 4).toString('latin1') === envelope.magic;
}
