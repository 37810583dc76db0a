import type { ByteReader } from '../base/bytes.ts';

/**
 * A list behind its varint count. Items take `itemBytesMin` bytes at least, so that the bytes left
 * bound the count before anything is allocated. Throws `corrupt_block`.
 */
export function readList<T>(reader: ByteReader, itemBytesMin: number, read: () => T): T[] {
  const count = reader.varint();
  if (count * itemBytesMin > reader.left) reader.fail(`${count} items in ${reader.left} bytes`);
  const items: T[] = [];
  for (let i = 0; i < count; i++) items.push(read());
  return items;
}
