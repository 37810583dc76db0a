/**
 * The work that stages are compared with: varints read from bytes, added into a large array, and looked
 * up in a hash table, about a third of its time each. It says how fast this machine is at what Tephra
 * does. It must never change: every committed ratio is a multiple of it.
 */
const VALUES = 30_000;
const SLOTS = 65_536;

/** A function that does the work once; about a millisecond. */
export function makeReference() {
  const bytes = new Uint8Array(VALUES * 2);
  let state = 1;
  for (let i = 0; i < VALUES; i++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    const value = state >>> 18;
    bytes[i * 2] = (value & 127) | 128;
    bytes[i * 2 + 1] = value >>> 7;
  }
  const sums = new Float64Array(VALUES);
  const slots = new Int32Array(SLOTS);
  const keys = new Int32Array(SLOTS);
  return () => {
    let at = 0;
    let found = 0;
    slots.fill(0);
    for (let i = 0; i < VALUES; i++) {
      let value = bytes[at++] & 127;
      value |= bytes[at++] << 7;
      sums[value] += i;
      let slot = Math.imul(value, 0x9e3779b1) >>> 16;
      while (slots[slot] !== 0 && keys[slot] !== value) slot = (slot + 1) & (SLOTS - 1);
      if (slots[slot] === 0) {
        slots[slot] = 1;
        keys[slot] = value;
      } else found++;
    }
    return found + sums[0];
  };
}
