/**
 * Just enough protobuf to write a profile quickly. It is the benches' own on purpose: what is
 * measured must not have made its own input.
 */
export class ProtoWriter {
  #bytes;
  #at = 0;

  constructor(capacity = 256) {
    this.#bytes = Buffer.allocUnsafe(capacity);
  }

  /** A whole number field, not negative. */
  uint(field, value) {
    this.#varint(field << 3);
    this.#varint(value);
    return this;
  }

  text(field, value) {
    const size = Buffer.byteLength(value);
    this.#varint((field << 3) | 2);
    this.#varint(size);
    this.#room(size);
    this.#bytes.write(value, this.#at);
    this.#at += size;
    return this;
  }

  bytes(field, value) {
    this.#varint((field << 3) | 2);
    this.#varint(value.byteLength);
    this.#room(value.byteLength);
    this.#bytes.set(value, this.#at);
    this.#at += value.byteLength;
    return this;
  }

  packed(field, values) {
    return this.message(field, (m) => {
      for (const value of values) m.#varint(value);
    });
  }

  /** A nested message; its length goes before what `fill` wrote. */
  message(field, fill) {
    this.#varint((field << 3) | 2);
    const start = this.#at;
    fill(this);
    const size = this.#at - start;
    const shift = size < 128 ? 1 : size < 16_384 ? 2 : size < 2_097_152 ? 3 : 4;
    this.#room(shift);
    this.#bytes.copyWithin(start + shift, start, this.#at);
    this.#at = start;
    this.#varint(size);
    this.#at += size;
    return this;
  }

  finish() {
    return new Uint8Array(this.#bytes.subarray(0, this.#at));
  }

  #varint(value) {
    this.#room(10);
    let rest = value;
    if (typeof rest === 'bigint') {
      while (rest > 127n) {
        this.#bytes[this.#at++] = Number(rest & 127n) | 128;
        rest >>= 7n;
      }
      rest = Number(rest);
    }
    while (rest > 127) {
      this.#bytes[this.#at++] = (rest % 128) | 128;
      rest = Math.floor(rest / 128);
    }
    this.#bytes[this.#at++] = rest;
  }

  #room(size) {
    if (this.#at + size <= this.#bytes.length) return;
    const wider = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#at + size));
    this.#bytes.copy(wider, 0, 0, this.#at);
    this.#bytes = wider;
  }
}
