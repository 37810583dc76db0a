import { ByteReader, ByteWriter, concatBytes } from '../../base/bytes.ts';
import { crc32 } from '../../base/crc32.ts';
import { TephraError } from '../../base/errors.ts';
import { NO_LENGTHS, lengthsEqual, readLengths, writeLengths, type TableLengths } from './lengths.ts';
import { mergeSlices } from './merge-slices.ts';

/*
 * A segment: dictionary slices of many (tenant, service) of one partition. Little-endian.
 *
 *   slices      one after another
 *   directory   varint count; each: text tenant, text service, varint start of the slice,
 *               varint bytes of the slice, u32 CRC-32 of the slice, six varints `from` (beyond
 *               NO_LENGTHS), six varints `to - from`; then u32 CRC-32 of the directory before it
 *   footer      u32 start of the directory, u32 end of the directory, u32 version, u32 magic
 *
 * The directory is at the tail so that one read of the tail, and a range for each service that is
 * wanted, is all that a load costs. docs/format/dictionary.md draws the bytes.
 */
const MAGIC = 0x47534454; // `TDSG`
const VERSION = 1;
const WHAT = 'dictionary segment';

/** Bytes of the footer. */
export const SEGMENT_FOOTER_BYTES = 16;

/** One slice to put into a segment. */
export interface SegmentPart {
  readonly tenant: string;
  readonly service: string;
  readonly from: TableLengths;
  readonly to: TableLengths;
  readonly slice: Uint8Array;
}

/** A row of a segment's directory: the slice is `[at, end)` of the blob. */
export interface SegmentEntry {
  readonly tenant: string;
  readonly service: string;
  readonly from: TableLengths;
  readonly to: TableLengths;
  readonly at: number;
  readonly end: number;
  readonly crc: number;
}

/** Where the directory lies in the blob. */
export interface SegmentFooter {
  readonly directoryAt: number;
  readonly directoryEnd: number;
}

/** Encodes a segment; the parts stay in their order. */
export function encodeSegment(parts: readonly SegmentPart[]): Uint8Array {
  const directory = new ByteWriter();
  directory.varint(parts.length);
  let at = 0;
  for (const { tenant, service, from, to, slice } of parts) {
    directory.text(tenant).text(service).varint(at).varint(slice.byteLength).u32(crc32(slice));
    writeLengths(directory, from, NO_LENGTHS);
    writeLengths(directory, to, from);
    at += slice.byteLength;
  }
  directory.u32(crc32(directory.view()));
  const end = at + directory.size;
  directory.u32(at).u32(end).u32(VERSION).u32(MAGIC);
  return concatBytes([...parts.map((part) => part.slice), directory.view()]);
}

/**
 * Reads the footer: the last SEGMENT_FOOTER_BYTES of `tail`, which ends where the blob of `size`
 * bytes ends. Throws `corrupt_block`, or `unknown_format_version` for a newer one.
 */
export function decodeSegmentFooter(tail: Uint8Array, size: number): SegmentFooter {
  if (tail.byteLength < SEGMENT_FOOTER_BYTES || tail.byteLength > size) {
    throw new TephraError('corrupt_block', `${WHAT}: ${tail.byteLength} bytes hold no footer`);
  }
  const input = new ByteReader(tail, `${WHAT} footer`, tail.byteLength - SEGMENT_FOOTER_BYTES);
  const directoryAt = input.u32();
  const directoryEnd = input.u32();
  const version = input.u32();
  if (input.u32() !== MAGIC) input.fail('magic number is wrong');
  if (version > VERSION) {
    throw new TephraError('unknown_format_version', `${WHAT}: version ${version}, known ${VERSION}`);
  }
  if (version === 0 || directoryEnd !== size - SEGMENT_FOOTER_BYTES || directoryAt > directoryEnd) {
    input.fail(`directory [${directoryAt}, ${directoryEnd}) of a blob of ${size} bytes`);
  }
  return { directoryAt, directoryEnd };
}

/** Decodes `[directoryAt, directoryEnd)` of the blob. Throws `corrupt_block`. */
export function decodeSegmentDirectory(bytes: Uint8Array): SegmentEntry[] {
  const what = `${WHAT} directory`;
  const body = bytes.byteLength - 4;
  if (body < 1) throw new TephraError('corrupt_block', `${what}: ${bytes.byteLength} bytes`);
  const check = new ByteReader(bytes, what, body).u32();
  const input = new ByteReader(bytes, what, 0, body);
  if (check !== crc32(bytes.subarray(0, body))) input.fail('checksum is wrong');
  const entries: SegmentEntry[] = [];
  for (let left = input.varint(); left > 0; left--) {
    const tenant = input.text();
    const service = input.text();
    const at = input.varint();
    const end = at + input.varint();
    const crc = input.u32();
    const from = readLengths(input, NO_LENGTHS);
    entries.push({ tenant, service, at, end, crc, from, to: readLengths(input, from) });
  }
  input.expectEnd();
  return entries;
}

/** Checks the slice of `entry`, read as the range `[at, end)` of the blob. Throws `corrupt_block`. */
export function sliceOf(range: Uint8Array, entry: SegmentEntry): Uint8Array {
  const found = range.byteLength;
  if (found !== entry.end - entry.at || crc32(range) !== entry.crc) {
    throw new TephraError(
      'corrupt_block',
      `${WHAT}: slice [${entry.at}, ${entry.end}) fails its checksum (${found} bytes found)`,
    );
  }
  return range;
}

/** A whole segment in memory. */
export interface OpenSegment {
  readonly entries: readonly SegmentEntry[];
  /** The slice of an entry: a view. Throws `corrupt_block`. */
  slice(entry: SegmentEntry): Uint8Array;
}

/** Opens a whole blob. Throws as {@link decodeSegmentFooter} and {@link decodeSegmentDirectory}. */
export function openSegment(blob: Uint8Array): OpenSegment {
  const { directoryAt, directoryEnd } = decodeSegmentFooter(blob, blob.byteLength);
  return {
    entries: decodeSegmentDirectory(blob.subarray(directoryAt, directoryEnd)),
    slice: (entry) => sliceOf(blob.subarray(entry.at, entry.end), entry),
  };
}

/**
 * Joins slices: those of one (tenant, service) that follow one another become one slice, decoded
 * and encoded again, because one deflate over all is smaller and one slice loads faster. The parts
 * of a service are in the order of `from`; where a part does not follow the one before (what lay
 * between is damaged) a new slice begins. Services stay in the order of their first part. Throws
 * `corrupt_block` where a slice does not decode.
 */
export function mergeSegments(parts: readonly SegmentPart[]): SegmentPart[] {
  const services = new Map<string, SegmentPart[][]>();
  for (const part of parts) {
    const key = JSON.stringify([part.tenant, part.service]);
    const runs = services.get(key) ?? [];
    services.set(key, runs);
    const run = runs.at(-1);
    const last = run?.at(-1);
    if (run !== undefined && last !== undefined && lengthsEqual(last.to, part.from)) run.push(part);
    else runs.push([part]);
  }
  return [...services.values()].flat().map(mergeRun);
}

function mergeRun(run: readonly SegmentPart[]): SegmentPart {
  const first = run[0] as SegmentPart;
  if (run.length === 1) return first;
  return { ...first, to: (run.at(-1) as SegmentPart).to, slice: mergeSlices(run) };
}
