import { ByteReader, hex } from '../../base/bytes.ts';
import { DAY_MS, HOUR_MS } from '../../base/time.ts';
import type { TypeColumn } from '../column/entries.ts';
import { readBig, readGrain, valueTotal } from '../column/types.ts';
import { NO_LENGTHS, readLengths, type TableLengths } from '../dictionary/lengths.ts';
import {
  checkDirectory,
  checkHeader,
  checkSection,
  FOOTER_BYTES,
  HEADER_BYTES,
  readDirectoryAt,
} from '../envelope.ts';
import { readList } from '../read-list.ts';
import { FRAGMENT_ENVELOPE } from './encode.ts';
import {
  GROUP_HAS_SPAN,
  GROUP_HAS_TRACE,
  KEY_BYTES,
  PROFILE_ID_NONE,
  PROFILE_ID_TEXT,
  PROFILE_ID_UUID,
} from './tags.ts';

/** A fragment as its directory tells it. */
export interface FragmentView {
  readonly incarnation: number;
  readonly seq: number;
  readonly shard: number;
  /** Start of the hour of arrival, Unix ms. */
  readonly arrivalHourMs: number;
  /** Earlier sequences that were never stored. */
  readonly skipped: readonly number[];
  readonly sections: readonly SectionEntry[];
}

/** Where the pushes of a section lie. */
export interface SectionRange {
  /** The partition: start of the UTC day, Unix ms. */
  readonly dayMs: number;
  /** First and last start of a push, Unix ms. */
  readonly minMs: number;
  readonly maxMs: number;
  readonly pushCount: number;
  /** The section is `[at, end)` of the fragment. */
  readonly at: number;
  readonly end: number;
}

/** A row of the directory. Fields as in `FragmentSection`. */
export interface SectionEntry extends SectionRange {
  readonly tenant: string;
  readonly service: string;
  readonly epoch: number;
  readonly seed: TableLengths;
  readonly from: TableLengths;
  readonly to: TableLengths;
  /** Identities of the pushes, KEY_BYTES each; all zero = none. A view. */
  readonly keys: Uint8Array;
  /** CRC-32 of the section. */
  readonly crc: number;
}

/** A section whose columns are not decoded: offsets refer to the bytes that were given. */
export interface SectionView {
  /** Encoded dictionary rows; a view. */
  readonly slice: Uint8Array;
  readonly pushes: readonly PushView[];
}

/** A push; `index` is its place in the section. */
export interface PushView {
  readonly index: number;
  readonly key: Uint8Array;
  readonly profileId: string;
  readonly startMs: number;
  readonly durationMs: number;
  readonly types: readonly TypeColumn[];
  readonly groups: readonly GroupView[];
}

/** Encoded entries `[at, end)` of one span and trace ('' = none). */
export interface GroupView {
  readonly spanId: string;
  readonly traceId: string;
  readonly at: number;
  readonly end: number;
}

/**
 * Header and directory of a whole fragment; sections are checked when they are decoded. Throws
 * `corrupt_block`, `unknown_format_version`.
 */
export function decodeFragment(bytes: Uint8Array): FragmentView {
  checkHeader(new ByteReader(bytes, 'fragment'), FRAGMENT_ENVELOPE);
  const directoryAt = fragmentDirectoryAt(bytes, bytes.byteLength);
  return decodeFragmentDirectory(bytes.subarray(directoryAt), directoryAt);
}

/** Offset of the directory, from the last 16 bytes or more of a fragment of `fileBytes`. */
export function fragmentDirectoryAt(footer: Uint8Array, fileBytes: number): number {
  return readDirectoryAt(new ByteReader(footer, 'fragment'), FRAGMENT_ENVELOPE, fileBytes);
}

/** What {@link decodeFragment} gives, from the bytes `[directoryAt, end)` of a fragment. */
export function decodeFragmentDirectory(tail: Uint8Array, directoryAt: number): FragmentView {
  const reader = new ByteReader(checkDirectory(tail, FRAGMENT_ENVELOPE), 'fragment directory');
  const incarnation = reader.varint();
  const seq = reader.varint();
  const shard = reader.varint();
  const arrivalHourMs = reader.varint() * HOUR_MS;
  const skipped = readList(reader, 1, () => reader.varint());
  let at = HEADER_BYTES;
  const sections = readList(reader, KEY_BYTES, () => {
    const entry = readEntry(reader, at);
    at = entry.end;
    return entry;
  });
  if (at !== directoryAt) reader.fail(`sections end at ${at} and not at ${directoryAt}`);
  reader.expectEnd();
  return { incarnation, seq, shard, arrivalHourMs, skipped, sections };
}

function readEntry(reader: ByteReader, at: number): SectionEntry {
  const end = at + reader.varint();
  const crc = reader.u32();
  const tenant = reader.text();
  const service = reader.text();
  const dayMs = reader.varint() * DAY_MS;
  const epoch = reader.varint();
  const seed = readLengths(reader, NO_LENGTHS);
  const from = readLengths(reader, seed);
  const to = readLengths(reader, from);
  const minMs = dayMs + reader.varint();
  const maxMs = minMs + reader.varint();
  if (maxMs >= dayMs + DAY_MS) reader.fail('a push starts outside of its partition');
  const pushCount = reader.varint();
  const keys = reader.raw(pushCount * KEY_BYTES);
  return {
    tenant,
    service,
    dayMs,
    epoch,
    seed,
    from,
    to,
    minMs,
    maxMs,
    pushCount,
    keys,
    at,
    end,
    crc,
  };
}

/**
 * The pushes of a section. `bytes` begins at offset `base` of the fragment: 0 for the whole
 * fragment, `entry.at` for the section alone. Throws `corrupt_block`.
 */
export function decodeSection(bytes: Uint8Array, entry: SectionEntry, base = 0): SectionView {
  checkSection(
    bytes.subarray(entry.at - base, entry.end - base),
    entry.crc,
    `section ${entry.tenant}/${entry.service}`,
  );
  return readSection(bytes, entry, base);
}

/** The same for bytes that were checked, or never left this process. */
export function readSection(bytes: Uint8Array, entry: SectionEntry, base = 0): SectionView {
  const what = `section ${entry.tenant}/${entry.service}`;
  const at = entry.at - base;
  const end = entry.end - base;
  const reader = new ByteReader(bytes, what, at, end);
  const slice = reader.block();
  const pushes: PushView[] = [];
  for (let index = 0; index < entry.pushCount; index++) {
    const key = entry.keys.subarray(index * KEY_BYTES, (index + 1) * KEY_BYTES);
    pushes.push(readPush(reader, entry, key, index));
  }
  reader.expectEnd();
  return { slice, pushes };
}

function readPush(
  reader: ByteReader,
  entry: SectionEntry,
  key: Uint8Array,
  index: number,
): PushView {
  const profileId = readProfileId(reader);
  const startMs = entry.dayMs + reader.varint();
  if (startMs < entry.minMs || startMs > entry.maxMs) reader.fail('a push outside of the range');
  const durationMs = reader.varint();
  const types = readTypes(reader);
  const groups = readList(reader, 1, () => readGroup(reader));
  return { index, key, profileId, startMs, durationMs, types, groups };
}

/** What stands in front of the ticks of a push: how each type reads them. */
export type TypeHead = Omit<TypeColumn, 'total'>;

/** The types in `bytes[at, end)`. Throws `corrupt_block`. */
export function readTypesAt(bytes: Uint8Array, at: number, end: number): TypeHead[] {
  return readTypeHeads(new ByteReader(bytes, 'types', at, end));
}

function readTypeHeads(reader: ByteReader): TypeHead[] {
  return readList(reader, 3, () => ({
    series: reader.varint(),
    ...readGrain(reader, Number.MAX_SAFE_INTEGER),
  }));
}

function readTypes(reader: ByteReader): TypeColumn[] {
  const grains = readTypeHeads(reader);
  const ticks = readList(reader, 1, () => readBig(reader));
  return grains.map(({ series, column, grain }) => {
    const total = ticks[column];
    if (total === undefined) reader.fail(`column ${column} of ${ticks.length}`);
    return { series, grain, total: valueTotal(total, grain), column };
  });
}

function readGroup(reader: ByteReader): GroupView {
  const flags = reader.u8();
  if (flags > (GROUP_HAS_SPAN | GROUP_HAS_TRACE)) reader.fail(`unknown flags ${flags}`);
  const spanId = (flags & GROUP_HAS_SPAN) === 0 ? '' : hex(reader.raw(8));
  const traceId = (flags & GROUP_HAS_TRACE) === 0 ? '' : hex(reader.raw(16));
  const size = reader.varint();
  const { at } = reader;
  reader.raw(size);
  return { spanId, traceId, at, end: at + size };
}

function readProfileId(reader: ByteReader): string {
  const tag = reader.u8();
  switch (tag) {
    case PROFILE_ID_NONE:
      return '';
    case PROFILE_ID_UUID:
      return hex(reader.raw(16)).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
    case PROFILE_ID_TEXT:
      return reader.text();
    default:
      return reader.fail(`unknown tag of a profile id ${tag}`);
  }
}

/** Bytes at the end of a fragment that {@link fragmentDirectoryAt} needs. */
export const FRAGMENT_FOOTER_BYTES = FOOTER_BYTES;
