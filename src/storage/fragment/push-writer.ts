import { assert } from '../../base/assert.ts';
import { ByteWriter, fromHex } from '../../base/bytes.ts';
import { DAY_MS } from '../../base/time.ts';
import { encodeEntries } from '../column/encode.ts';
import { columnCount, writeGrains, writeTickTotals } from '../column/types.ts';
import type { FragmentPush, PushGroup } from './encode.ts';
import {
  GROUP_HAS_SPAN,
  GROUP_HAS_TRACE,
  KEY_BYTES,
  PROFILE_ID_NONE,
  PROFILE_ID_TEXT,
  PROFILE_ID_UUID,
} from './tags.ts';

/**
 * The pushes of a section, encoded as they come: what waits for its flush is bytes, and nothing of the
 * pushes is kept. Drawn in encode.ts.
 */
export class PushWriter {
  /** The partition: start of the UTC day, Unix ms. */
  dayMs = 0;
  count = 0;
  /** Earliest and latest start, ms of the day. */
  first = DAY_MS;
  last = 0;
  readonly #body = new ByteWriter();
  readonly #keys = new ByteWriter();

  /** Begins with nothing. */
  begin(dayMs: number): void {
    this.dayMs = dayMs;
    this.count = 0;
    this.first = DAY_MS;
    this.last = 0;
    this.#body.reset(SCRATCH_BYTES_MAX);
    this.#keys.reset(SCRATCH_BYTES_MAX);
  }

  /** Bytes of all pushes; a view, valid until the next one. */
  get bytes(): Uint8Array {
    return this.#body.view();
  }

  /** Their keys in order; a view, valid until the next one. */
  get keys(): Uint8Array {
    return this.#keys.view();
  }

  /** Bytes so far. */
  get size(): number {
    return this.#body.size + this.#keys.size;
  }

  /** Adds a push. Broken invariants are asserted, and then nothing of it is there. */
  add(push: FragmentPush): void {
    const at = push.startMs - this.dayMs;
    assert(at >= 0 && at < DAY_MS, 'a push starts outside of its partition');
    assert(push.key.byteLength === KEY_BYTES, 'a push key has 16 bytes');
    const before = this.#body.size;
    try {
      writePush(this.#body, push, this.dayMs);
    } catch (thrown) {
      this.#body.cut(before);
      throw thrown;
    }
    this.#keys.raw(push.key);
    this.count++;
    if (at < this.first) this.first = at;
    if (at > this.last) this.last = at;
  }
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
/** What is rarely larger is not kept. */
const SCRATCH_BYTES_MAX = 2 * 1024 * 1024;
/** Scratch of the thread: one group is encoded at a time. */
const ENTRIES = new ByteWriter(16 * 1024);

function writePush(writer: ByteWriter, push: FragmentPush, dayMs: number): void {
  const { profileId, types, groups } = push;
  if (profileId === '') {
    writer.u8(PROFILE_ID_NONE);
  } else if (UUID.test(profileId)) {
    writer.u8(PROFILE_ID_UUID).raw(fromHex(profileId.replaceAll('-', '')));
  } else {
    writer.u8(PROFILE_ID_TEXT).text(profileId);
  }
  writer.varint(push.startMs - dayMs).varint(push.durationMs);

  writer.varint(types.length);
  for (const type of types) {
    writer.varint(type.series);
    writeGrains(writer, [type]);
  }
  const columns = columnCount(types);
  writer.varint(columns);
  writeTickTotals(writer, types);

  writer.varint(groups.length);
  for (const group of groups) {
    const { entries } = group;
    const present = 'bytes' in entries ? entries.columns : entries.ticks.length;
    assert(present === columns, 'a group lacks columns of the push');
    writeIds(writer, group);
    if ('bytes' in entries) {
      writer.varint(entries.end - entries.at).part(entries.bytes, entries.at, entries.end);
      continue;
    }
    ENTRIES.reset(SCRATCH_BYTES_MAX);
    encodeEntries(ENTRIES, entries);
    writer.block(ENTRIES.view());
  }
}

function writeIds(writer: ByteWriter, { spanId, traceId }: PushGroup): void {
  if (spanId === '' && traceId === '') {
    writer.u8(0);
    return;
  }
  assert(spanId === '' || /^[0-9a-f]{16}$/.test(spanId), 'a span id has 16 hex digits');
  assert(traceId === '' || /^[0-9a-f]{32}$/.test(traceId), 'a trace id has 32 hex digits');
  writer.u8((spanId === '' ? 0 : GROUP_HAS_SPAN) | (traceId === '' ? 0 : GROUP_HAS_TRACE));
  writer.raw(fromHex(spanId)).raw(fromHex(traceId));
}
