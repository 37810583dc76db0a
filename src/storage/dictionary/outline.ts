/**
 * The outline of a segment: what of it values depend on, in a blob of its own. Without the segment
 * names are lost; without lengths and series nobody could tell whose values are whose.
 *
 *     header (8) | parts varint, then each: tenant text | service text | from 6 varints
 *     | to 6 varints | series varint count, then each: labels varint count, then each: name text,
 *     value text | five texts of the type | CRC-32 u32 of all before
 */
import { ByteReader, ByteWriter } from '../../base/bytes.ts';
import { crc32 } from '../../base/crc32.ts';
import { TephraError } from '../../base/errors.ts';
import { checkHeader, type Envelope, writeHeader } from '../envelope.ts';
import { readList } from '../read-list.ts';
import { NO_LENGTHS, readLengths, type TableLengths, writeLengths } from './lengths.ts';
import type { SeriesRow } from './rows.ts';
import { typeParts } from './series.ts';

const OUTLINE: Envelope = { what: 'segment outline', magic: 'TPOL', version: 1 };

/** One slice of the segment, without its names. */
export interface OutlinePart {
  readonly tenant: string;
  readonly service: string;
  readonly from: TableLengths;
  readonly to: TableLengths;
  /** Rows [from.series, to.series). */
  readonly series: readonly SeriesRow[];
}

/** Bytes of an outline. */
export function encodeOutline(parts: readonly OutlinePart[]): Uint8Array {
  const writer = new ByteWriter();
  writeHeader(writer, OUTLINE);
  writer.varint(parts.length);
  for (const { tenant, service, from, to, series } of parts) {
    writer.text(tenant).text(service);
    writeLengths(writer, from, NO_LENGTHS);
    writeLengths(writer, to, from);
    writer.varint(series.length);
    for (const { labels, type } of series) {
      writer.varint(labels.length);
      for (const [name, value] of labels) writer.text(name).text(value);
      for (const part of typeParts(type)) writer.text(part);
    }
  }
  return writer.u32(crc32(writer.view())).finish();
}

/** Reads an outline. Throws `corrupt_block`, or `unknown_format_version` for a newer one. */
export function decodeOutline(bytes: Uint8Array): OutlinePart[] {
  const { what } = OUTLINE;
  const end = bytes.byteLength - 4;
  if (end < 0) throw new TephraError('corrupt_block', `${what} of ${bytes.byteLength} bytes`);
  const reader = new ByteReader(bytes, what);
  checkHeader(reader, OUTLINE);
  const stated = new ByteReader(bytes, what, end).u32();
  if (stated !== crc32(bytes.subarray(0, end))) reader.fail('wrong checksum');
  const parts = readList(reader, 14, () => {
    const tenant = reader.text();
    const service = reader.text();
    const from = readLengths(reader, NO_LENGTHS);
    const to = readLengths(reader, from);
    return { tenant, service, from, to, series: readList(reader, 6, () => readSeries(reader)) };
  });
  reader.u32();
  reader.expectEnd();
  return parts;
}

function readSeries(reader: ByteReader): SeriesRow {
  const labels = readList(reader, 2, () => [reader.text(), reader.text()] as const);
  const name = reader.text();
  const type = reader.text();
  const unit = reader.text();
  const periodType = reader.text();
  return { labels, type: { name, type, unit, periodType, periodUnit: reader.text() } };
}
