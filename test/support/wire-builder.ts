/**
 * Writes protobuf fields one by one, in any order and form: what real encoders never write is what
 * the reader has to be tested with. Independent of the product's own writers.
 */
export class WireBuilder {
  readonly #bytes: number[] = [];

  /** A varint of 64 bits; negative numbers take ten bytes. `pad` adds bytes that say nothing. */
  varint(value: bigint | number, pad = 0): this {
    let rest = BigInt.asUintN(64, BigInt(value));
    const bytes: number[] = [];
    do {
      bytes.push(Number(rest & 0x7fn));
      rest >>= 7n;
    } while (rest > 0n);
    for (let i = 0; i < pad; i++) bytes.push(0);
    bytes.forEach((byte, i) => this.#bytes.push(i < bytes.length - 1 ? byte | 0x80 : byte));
    return this;
  }

  /** Bytes as they are. */
  raw(bytes: Iterable<number>): this {
    for (const byte of bytes) this.#bytes.push(byte);
    return this;
  }

  /** Field of wire type 0. */
  int(field: number, value: bigint | number, padTag = 0): this {
    return this.varint(field * 8, padTag).varint(value);
  }

  /** Field of wire type 2. */
  bytes(field: number, content: Iterable<number>, padTag = 0): this {
    const list = [...content];
    return this.varint(field * 8 + 2, padTag)
      .varint(list.length)
      .raw(list);
  }

  /** Field of wire type 2 with the fields that `fill` writes. */
  message(field: number, fill: (inner: WireBuilder) => void, padTag = 0): this {
    const inner = new WireBuilder();
    fill(inner);
    return this.bytes(field, inner.finish(), padTag);
  }

  text(field: number, text: string): this {
    return this.bytes(field, Buffer.from(text));
  }

  /** A packed repeated field. */
  packed(field: number, values: readonly (bigint | number)[]): this {
    const inner = new WireBuilder();
    for (const value of values) inner.varint(value);
    return this.bytes(field, inner.finish());
  }

  finish(): Uint8Array {
    return Uint8Array.from(this.#bytes);
  }
}
