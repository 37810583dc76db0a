import { ByteReader, hex } from '../../base/bytes.ts';
import { crc32 } from '../../base/crc32.ts';
import { checkHeader } from '../envelope.ts';
import { HOURS, readHours } from '../hour-set.ts';
import { readList } from '../read-list.ts';
import type { Interval, Intervals } from './absorbed.ts';
import { type PartitionRoot, ROOT_ENVELOPE } from './encode.ts';

/** Reads a root; throws `corrupt_block`, `unknown_format_version`. */
export function decodeRoot(bytes: Uint8Array): PartitionRoot {
  checkHeader(new ByteReader(bytes, 'root'), ROOT_ENVELOPE);
  const end = bytes.byteLength - 4;
  const tail = new ByteReader(bytes, 'root', Math.max(0, end));
  if (tail.u32() !== crc32(bytes.subarray(0, end))) tail.fail('checksum mismatch');

  const reader = new ByteReader(bytes, 'root', 8, end);
  const gen = reader.varint();
  const commit = reader.raw(16).slice();
  const dropped = readFlag(reader);
  const roll = reader.varint();
  const rolledBy = Array.from({ length: HOURS }, () => reader.varint());
  const absorbed = new Map<number, Intervals>();
  readList(reader, 1, () => absorbed.set(reader.varint(), readIntervals(reader)));
  const root: PartitionRoot = {
    gen,
    commit,
    absorbed,
    roll,
    rolledBy,
    dropped,
    blocks: readList(reader, 1, () => ({
      id: hex(reader.block()),
      bytes: reader.varint(),
      rolled: readFlag(reader),
      hours: readHours(reader),
    })),
    segments: readList(reader, 1, () => ({ id: hex(reader.block()), bytes: reader.varint() })),
    outbox: readList(reader, 1, () => ({ roll: reader.varint(), id: hex(reader.block()) })),
    trash: readList(reader, 1, () => ({ id: hex(reader.block()), sinceMs: reader.varint() })),
    tombstones: readList(reader, 1, () => reader.block().slice()),
  };
  reader.expectEnd();
  return root;
}

function readIntervals(reader: ByteReader): Intervals {
  let end = 0;
  return readList(reader, 1, (): Interval => {
    const from = end + reader.varint();
    end = from + reader.varint();
    return [from, end];
  });
}

function readFlag(reader: ByteReader): boolean {
  const flags = reader.u8();
  if (flags > 1) reader.fail(`unknown flags ${flags}`);
  return flags === 1;
}
