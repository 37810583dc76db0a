import { ByteWriter, fromHex, utf8 } from '../../base/bytes.ts';
import { refuseArgument } from '../error.ts';
import type { Epoch, Rows } from './epoch.ts';
import type { Batch, SamplePart } from './part.ts';
import type { Family, FamilyType } from './tables.ts';

/**
 * Writes the batches of `tephra.v1.StreamRequest` as protobuf, straight from the tables: an entry costs two
 * varints, no objects. Field numbers are those of proto/tephra/v1/stream.proto.
 */

/** Field of `StreamRequest`. */
const BATCH = 2;

/**
 * One request with a batch; rows that the epoch gave ids to beyond `sent` go into its additions. All ids
 * that the batch needs are given here.
 */
export function encodeBatch(batch: Batch, epoch: Epoch): Uint8Array {
  const sent = epoch.rows;
  const body = new ByteWriter(512 + batch.entries * 4);
  const parts = batch.parts.map((part) => encodePart(part, epoch));
  number(body, 1, batch.sequence);
  number(body, 2, epoch.number);
  const additions = encodeAdditions(epoch, sent);
  if (additions.size > 0) bytes(body, 3, additions.view());
  for (const part of parts) bytes(body, 4, part.view());
  const request = new ByteWriter(body.size + 8);
  bytes(request, BATCH, body.view());
  return request.view();
}

function encodePart(part: SamplePart, epoch: Epoch): ByteWriter {
  const { stacks, columns, labels = [], spans = [] } = part;
  const writer = new ByteWriter(64 + stacks.length * 4);
  number(writer, 1, epoch.series.id(part.family));
  number(writer, 2, part.startMs);
  number(writer, 3, part.durationMs);
  const scratch = new ByteWriter(stacks.length * (2 + columns.length));
  let last = 0;
  for (let entry = 0; entry < stacks.length; entry++) {
    const id = epoch.stack(stacks[entry] as number);
    scratch.zigzag(id - last);
    last = id;
  }
  bytes(writer, 4, scratch.view());
  scratch.reset();
  for (const column of columns) {
    for (let entry = 0; entry < column.length; entry++) scratch.varint(column[entry] as number);
  }
  bytes(writer, 5, scratch.view());
  packed(writer, 6, part.typeColumn ?? []);
  packed(writer, 7, part.typeScale ?? []);
  if (part.profileId !== undefined) text(writer, 8, part.profileId);
  packed(
    writer,
    9,
    labels.map(([name]) => epoch.text(name)),
  );
  packed(
    writer,
    10,
    labels.map(([, value]) => epoch.text(value)),
  );
  for (const { spanId, traceId, entries } of spans) {
    const span = new ByteWriter(32);
    if (spanId !== '') bytes(span, 1, fromHex(spanId));
    if (traceId !== '') bytes(span, 2, fromHex(traceId));
    number(span, 3, entries);
    bytes(writer, 11, span.view());
  }
  return writer;
}

function encodeAdditions(epoch: Epoch, sent: Rows): ByteWriter {
  const { tables } = epoch;
  const writer = new ByteWriter(256);
  // Before the strings: it gives no ids, but nothing may be given after they are written.
  const families = epoch.series.order.slice(sent.series).map((family) => {
    const { labels, types } = tables.families[family] as Family;
    return encodeFamily(labels, types);
  });
  const strings = epoch.strings.order.slice(sent.strings);
  if (strings.length > 0) {
    number(writer, 1, sent.strings + 1);
    // An empty string has id 0 and is never among them.
    for (const string of strings) text(writer, 2, tables.texts[string] as string);
  }
  const frames = epoch.frames.order.slice(sent.frames);
  if (frames.length > 0) {
    number(writer, 3, sent.frames + 1);
    const columns = new ByteWriter(frames.length * 6);
    packed(
      columns,
      1,
      frames.map((frame) => epoch.text(tables.frameFunction[frame] as number)),
    );
    packed(
      columns,
      2,
      frames.map((frame) => epoch.text(tables.frameFile[frame] as number)),
    );
    packed(
      columns,
      3,
      frames.map((frame) => tables.frameLine[frame] as number),
    );
    bytes(writer, 4, columns.view());
  }
  const stacks = epoch.stacks.order.slice(sent.stacks);
  if (stacks.length > 0) {
    number(writer, 5, sent.stacks + 1);
    packed(
      writer,
      6,
      stacks.map((stack) => epoch.stack(tables.stackParent[stack] as number)),
    );
    packed(
      writer,
      7,
      stacks.map((stack) => epoch.frames.id(tables.stackFrame[stack] as number)),
    );
  }
  if (families.length > 0) {
    number(writer, 8, sent.series + 1);
    for (const family of families) bytes(writer, 9, family.view());
  }
  return writer;
}

function encodeFamily(
  labels: Readonly<Record<string, string>>,
  types: readonly FamilyType[],
): ByteWriter {
  const writer = new ByteWriter(128);
  for (const [name, value] of Object.entries(labels)) {
    const label = new ByteWriter(64);
    text(label, 1, name);
    text(label, 2, value);
    bytes(writer, 1, label.view());
  }
  for (const type of types) {
    const one = new ByteWriter(64);
    text(one, 1, profileTypeOf(type));
    number(one, 2, type.period ?? 0);
    bytes(writer, 2, one.view());
  }
  return writer;
}

/** `process_cpu:cpu:nanoseconds:cpu:nanoseconds`. */
export function profileTypeOf({ name, type, unit, periodType }: FamilyType): string {
  return [name, type, unit, periodType?.type ?? '', periodType?.unit ?? ''].join(':');
}

/** Throws {@link TephraClientError} if the arrays of a part do not fit each other. */
export function checkPart({ stacks, columns, spans = [] }: SamplePart): void {
  const entries = stacks.length;
  if (columns.length === 0 || columns.some((column) => column.length !== entries)) {
    throw refuseArgument(`columns: expected ${entries} values in each`);
  }
  for (const column of columns) {
    for (let entry = 0; entry < entries; entry++) {
      const value = column[entry] as number;
      if (value >= 0 && Number.isSafeInteger(value)) continue;
      throw refuseArgument(`columns: expected whole numbers from 0, found ${value}`);
    }
  }
  if (spans.reduce((sum, run) => sum + run.entries, 0) > entries) {
    throw refuseArgument(`spans: expected at most ${entries} entries`);
  }
}

const VARINT = 0;
const BYTES = 2;

function number(writer: ByteWriter, field: number, value: number): void {
  if (value !== 0) writer.varint(field * 8 + VARINT).varint(value);
}

function bytes(writer: ByteWriter, field: number, value: Uint8Array): void {
  writer.varint(field * 8 + BYTES).block(value);
}

function text(writer: ByteWriter, field: number, value: string): void {
  bytes(writer, field, utf8(value));
}

function packed(writer: ByteWriter, field: number, values: readonly number[]): void {
  if (values.length === 0) return;
  const scratch = new ByteWriter(values.length * 3);
  for (const value of values) scratch.varint(value);
  bytes(writer, field, scratch.view());
}
