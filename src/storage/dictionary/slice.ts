import { deflateRawSync, inflateRawSync } from 'node:zlib';

import { assert } from '../../base/assert.ts';
import { ByteReader, ByteWriter } from '../../base/bytes.ts';
import { TephraError, isErrorLike } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';
import type { Label } from '../../profile/labels.ts';
import type { TableLengths } from './lengths.ts';
import { NO_PARENT, type Rows, type SeriesRow } from './rows.ts';
import { typeParts } from './series.ts';
import { ColumnReader, ColumnWriter } from './slice-columns.ts';
import { readFrames, writeFrames } from './slice-frames.ts';

/*
 * A slice: rows [from, to) of all six tables. `from` and `to` are not in it: whoever holds a slice
 * holds them too, with a CRC-32 over the slice. docs/format/dictionary.md draws the bytes.
 *
 *   u8 codec   0 = the payload follows, 1 = varint size of the payload, then deflate-raw of it
 *   payload    columns, each as long as its table has rows here; varints of u32 unless said
 *     strings    sizes in bytes, then all bytes
 *     functions  name*, system name - name*, file*, start line
 *     frames     flags (a byte each), then the columns that the flags ask for (slice-frames.ts)
 *     nodes      (0 under the root, else id - parent), frame
 *     stacks     node*
 *     series     row by row: label count, (name, value)…, five type parts
 *   * = zigzag of a difference modulo 2^32, to the row before unless said; the first row's to 0
 *
 * Columns, because equal things then lie side by side for deflate, and a column is a tight loop.
 */
const CODEC_PLAIN = 0;
const CODEC_DEFLATE = 1;
/** Smaller payloads stay plain: deflate would save little and cost more than all the rest. */
const DEFLATE_BYTES_MIN = 128;
const DEFLATE_LEVEL = 3;
/** A payload never inflates beyond this. */
const PAYLOAD_BYTES_MAX = 4 * LIMITS.blobBytesMax;
const WHAT = 'dictionary slice';

/** Encodes rows whose nodes begin with id `firstNode`. */
export function encodeRows(rows: Rows, firstNode: number): Uint8Array {
  const out = new ColumnWriter();
  let before = 0;
  for (const end of rows.stringEnd) {
    out.varint(end - before);
    before = end;
  }
  out.raw(rows.stringBytes);

  const { functions } = rows;
  out.deltas(functions.name);
  out.differences(functions.systemName, functions.name);
  out.deltas(functions.file);
  out.plain(functions.startLine);

  writeFrames(out, rows.frames);

  for (let i = 0; i < rows.nodeParent.length; i++) {
    const parent = rows.nodeParent[i] as number;
    out.varint(parent < 0 ? 0 : firstNode + i - parent);
  }
  out.plain(rows.nodeFrame);
  out.deltas(rows.stackNode);

  const series = new ByteWriter();
  for (const row of rows.series) writeSeries(series, row);
  out.raw(series.view());
  const payload = out.view();
  assert(payload.byteLength <= PAYLOAD_BYTES_MAX, 'rows that nobody could read again');
  return pack(payload);
}

/** Decodes rows [from, to), every reference checked. Throws `corrupt_block`. */
export function decodeRows(slice: Uint8Array, from: TableLengths, to: TableLengths): Rows {
  const payload = unpack(slice);
  const input = new ColumnReader(payload, WHAT);
  const count = (table: keyof TableLengths): number => {
    const rows = to[table] - from[table];
    // Each row takes a byte at least: a count that cannot be is refused before room is made for it.
    if (rows < 0 || rows > payload.byteLength) input.fail(`${rows} ${table}`);
    return rows;
  };
  const functions = count('functions');
  const frames = count('frames');
  const nodes = count('nodes');
  const stacks = count('stacks');
  const seriesCount = count('series');

  const stringEnd = input.plain(count('strings'), payload.byteLength + 1);
  let size = 0;
  for (let i = 0; i < stringEnd.length; i++) {
    size += stringEnd[i] as number;
    stringEnd[i] = size;
  }
  const stringBytes = input.raw(size);

  const name = input.deltas(functions, to.strings);
  const functionColumns = {
    name,
    systemName: input.differences(name, to.strings),
    file: input.deltas(functions, to.strings),
    startLine: input.plain(functions),
  };
  const frameColumns = readFrames(input, frames, to);

  const nodeParent = new Int32Array(nodes);
  const above = input.plain(nodes);
  for (let i = 0; i < nodes; i++) {
    const distance = above[i] as number;
    const id = from.nodes + i;
    if (distance > id) input.fail(`node ${id} under ${id - distance}`);
    nodeParent[i] = distance === 0 ? NO_PARENT : id - distance;
  }
  const nodeFrame = input.plain(nodes, to.frames);
  const stackNode = input.deltas(stacks, to.nodes);

  const rest = new ByteReader(payload, WHAT, input.at);
  const series: SeriesRow[] = [];
  for (let i = 0; i < seriesCount; i++) series.push(readSeries(rest));
  rest.expectEnd();
  return {
    stringEnd,
    stringBytes,
    functions: functionColumns,
    frames: frameColumns,
    nodeParent,
    nodeFrame,
    stackNode,
    series,
  };
}

function writeSeries(out: ByteWriter, row: SeriesRow): void {
  out.varint(row.labels.length);
  for (const [name, value] of row.labels) out.text(name).text(value);
  for (const part of typeParts(row.type)) out.text(part);
}

function readSeries(input: ByteReader): SeriesRow {
  const labels: Label[] = [];
  for (let left = input.varint(); left > 0; left--) labels.push([input.text(), input.text()]);
  return {
    labels,
    type: {
      name: input.text(),
      type: input.text(),
      unit: input.text(),
      periodType: input.text(),
      periodUnit: input.text(),
    },
  };
}

function pack(payload: Uint8Array): Uint8Array {
  const out = new ByteWriter(payload.byteLength + 8);
  if (payload.byteLength >= DEFLATE_BYTES_MIN) {
    const deflated = deflateRawSync(payload, { level: DEFLATE_LEVEL });
    out.u8(CODEC_DEFLATE).varint(payload.byteLength).raw(deflated);
    if (out.size <= payload.byteLength) return out.finish();
    out.reset();
  }
  return out.u8(CODEC_PLAIN).raw(payload).finish();
}

/**
 * Bytes of the rows of a slice before they were deflated, as it says. Rows whose slices come to more than
 * LIMITS.blobBytesMax together must not be joined to one slice: it could grow too large to be read.
 */
export function payloadBytes(slice: Uint8Array): number {
  if (slice[0] !== CODEC_DEFLATE) return slice.byteLength;
  const input = new ByteReader(slice, WHAT);
  input.u8();
  return input.varint();
}

function unpack(slice: Uint8Array): Uint8Array {
  const input = new ByteReader(slice, WHAT);
  const codec = input.u8();
  if (codec === CODEC_PLAIN) return input.raw(input.left);
  if (codec !== CODEC_DEFLATE) input.fail(`unknown codec ${codec}`);
  const size = input.varint();
  if (size > PAYLOAD_BYTES_MAX) input.fail(`payload of ${size} bytes`);
  const payload = inflate(input.raw(input.left), size);
  if (payload.byteLength !== size) {
    input.fail(`expected a payload of ${size} bytes, found ${payload.byteLength}`);
  }
  return payload;
}

function inflate(bytes: Uint8Array, size: number): Uint8Array {
  try {
    // With `info` the answer is an object (which the types do not know) that tells what was used.
    const { buffer, engine } = inflateRawSync(bytes, {
      maxOutputLength: Math.max(1, size),
      info: true,
    }) as unknown as { buffer: Uint8Array; engine: { bytesWritten: number } };
    if (engine.bytesWritten === bytes.byteLength) return buffer;
  } catch (thrown) {
    // zlib throws only about the bytes here: damaged, cut, or more than the size says.
    const why = isErrorLike(thrown) ? thrown.message : String(thrown);
    throw new TephraError('corrupt_block', `${WHAT}: ${why}`, { cause: thrown });
  }
  throw new TephraError('corrupt_block', `${WHAT}: bytes behind the deflated ones`);
}
