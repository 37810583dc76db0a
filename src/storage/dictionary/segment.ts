/**
 * A segment: dictionary slices of many (tenant, service) of one partition, in the envelope that
 * fragments and blocks have too. The directory is at the tail: one read of the tail, one of the
 * directory, and a range for each service that is wanted is all that a load costs.
 * docs/format/dictionary.md draws the bytes.
 */
import { ByteReader, ByteWriter } from '../../base/bytes.ts';
import { crc32 } from '../../base/crc32.ts';
import { TephraError } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';
import {
  checkDirectory,
  checkHeader,
  checkSection,
  type Envelope,
  FOOTER_BYTES,
  HEADER_BYTES,
  readDirectoryAt,
  writeDirectory,
  writeHeader,
} from '../envelope.ts';
import {
  lengthsEqual,
  NO_LENGTHS,
  readLengths,
  type TableLengths,
  writeLengths,
} from './lengths.ts';
import { mergeSlices } from './merge-slices.ts';
import { payloadBytes } from './slice.ts';

const SEGMENT: Envelope = { what: 'dictionary segment', magic: 'TPSG', version: 1 };

/** Bytes of the footer. */
export const SEGMENT_FOOTER_BYTES: number = FOOTER_BYTES;

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

/** Where the directory, with the footer that holds its checksum, lies in the blob. */
export interface SegmentFooter {
  readonly directoryAt: number;
  readonly directoryEnd: number;
}

/** Encodes a segment; the parts stay in their order. */
export function encodeSegment(parts: readonly SegmentPart[]): Uint8Array {
  const out = new ByteWriter();
  const directory = new ByteWriter();
  writeHeader(out, SEGMENT);
  directory.varint(parts.length);
  for (const { tenant, service, from, to, slice } of parts) {
    out.raw(slice);
    directory.varint(slice.byteLength).u32(crc32(slice)).text(tenant).text(service);
    writeLengths(directory, from, NO_LENGTHS);
    writeLengths(directory, to, from);
  }
  writeDirectory(out, SEGMENT, directory.view());
  return out.finish();
}

/**
 * Reads the footer: the last SEGMENT_FOOTER_BYTES of `tail`, which ends where the blob of `size`
 * bytes ends. Throws `corrupt_block`, or `unknown_format_version` for a newer one.
 */
export function decodeSegmentFooter(tail: Uint8Array, size: number): SegmentFooter {
  const footer = new ByteReader(tail, `${SEGMENT.what} footer`);
  return { directoryAt: readDirectoryAt(footer, SEGMENT, size), directoryEnd: size };
}

/** Decodes `[directoryAt, directoryEnd)` of the blob. Throws `corrupt_block`. */
export function decodeSegmentDirectory(bytes: Uint8Array): SegmentEntry[] {
  const what = `${SEGMENT.what} directory`;
  if (bytes.byteLength < FOOTER_BYTES) {
    throw new TephraError('corrupt_block', `${what}: ${bytes.byteLength} bytes`);
  }
  const input = new ByteReader(checkDirectory(bytes, SEGMENT), what);
  const entries: SegmentEntry[] = [];
  let at = HEADER_BYTES;
  for (let left = input.varint(); left > 0; left--) {
    const end = at + input.varint();
    const crc = input.u32();
    const tenant = input.text();
    const service = input.text();
    const from = readLengths(input, NO_LENGTHS);
    const to = readLengths(input, from);
    entries.push({ tenant, service, from, to, at, end, crc });
    at = end;
  }
  input.expectEnd();
  return entries;
}

/** Checks the slice of `entry`, read as the range `[at, end)` of the blob. Throws `corrupt_block`. */
export function sliceOf(range: Uint8Array, entry: SegmentEntry): Uint8Array {
  const what = `${SEGMENT.what}: slice [${entry.at}, ${entry.end})`;
  if (range.byteLength !== entry.end - entry.at) {
    throw new TephraError('corrupt_block', `${what} ends after ${range.byteLength} bytes`);
  }
  checkSection(range, entry.crc, what);
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
  checkHeader(new ByteReader(blob, SEGMENT.what), SEGMENT);
  const { directoryAt } = decodeSegmentFooter(blob, blob.byteLength);
  const entries = decodeSegmentDirectory(blob.subarray(directoryAt));
  const end = entries.at(-1)?.end ?? HEADER_BYTES;
  if (end !== directoryAt) {
    throw new TephraError(
      'corrupt_block',
      `${SEGMENT.what}: slices end at ${end}, not ${directoryAt}`,
    );
  }
  return {
    entries,
    slice: (entry) => sliceOf(blob.subarray(entry.at, entry.end), entry),
  };
}

/**
 * Joins slices: those of one (tenant, service) that follow one another become one slice, decoded
 * and encoded again, because one deflate over all is smaller and one slice loads faster. The parts
 * of a service are in the order of `from`; where a part does not follow the one before (what lay
 * between is damaged), or the slice would be too large, a new slice begins. Services stay in the order of their first part. Throws
 * `corrupt_block` where a slice does not decode.
 */
export function mergeSegments(parts: readonly SegmentPart[]): SegmentPart[] {
  const services = new Map<string, Run[]>();
  for (const part of parts) {
    const key = JSON.stringify([part.tenant, part.service]);
    const runs = services.get(key) ?? [];
    services.set(key, runs);
    const bytes = payloadBytes(part.slice);
    const run = runs.at(-1);
    if (run !== undefined && mayFollow(run, part, bytes)) {
      run.parts.push(part);
      run.bytes += bytes;
    } else runs.push({ parts: [part], bytes });
  }
  return [...services.values()].flat().map(({ parts: run }) => mergeRun(run));
}

/** Parts that become one slice. */
interface Run {
  readonly parts: SegmentPart[];
  /** Of all their rows. */
  bytes: number;
}

function mayFollow({ parts, bytes }: Run, part: SegmentPart, more: number): boolean {
  const last = parts.at(-1);
  return (
    last !== undefined && lengthsEqual(last.to, part.from) && bytes + more <= LIMITS.blobBytesMax
  );
}

function mergeRun(run: readonly SegmentPart[]): SegmentPart {
  const first = run[0] as SegmentPart;
  if (run.length === 1) return first;
  return { ...first, to: (run.at(-1) as SegmentPart).to, slice: mergeSlices(run) };
}
