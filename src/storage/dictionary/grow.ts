/** Doubles until `needed` rows fit; a quarter more once the column is large, to waste less. */
function capacityFor(present: number, needed: number): number {
  let capacity = Math.max(present, 16);
  while (capacity < needed) {
    capacity = capacity < 65_536 ? capacity * 2 : Math.ceil(capacity * 1.25);
  }
  return capacity;
}

/** The column itself, or a longer copy that has room for `needed` rows. */
export function growU32(column: Uint32Array, needed: number): Uint32Array {
  if (needed <= column.length) return column;
  const grown = new Uint32Array(capacityFor(column.length, needed));
  grown.set(column);
  return grown;
}

/** As {@link growU32}. */
export function growI32(column: Int32Array, needed: number): Int32Array {
  if (needed <= column.length) return column;
  const grown = new Int32Array(capacityFor(column.length, needed));
  grown.set(column);
  return grown;
}

/** As {@link growU32}. */
export function growU8(column: Uint8Array, needed: number): Uint8Array {
  if (needed <= column.length) return column;
  const grown = new Uint8Array(capacityFor(column.length, needed));
  grown.set(column);
  return grown;
}
