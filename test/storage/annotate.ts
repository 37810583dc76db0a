import { crc32 } from 'node:zlib';

/**
 * Walks bytes by a format page and names each of them: a second reader, written for people. It
 * throws where bytes are left over or missing, and it checks checksums on its own.
 */
export class Annotator {
  readonly bytes: Uint8Array;
  readonly lines: string[] = [];
  at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  /** A line without bytes. */
  title(text: string): void {
    this.lines.push(`       ${text}`);
  }

  /** The next `size` bytes. */
  raw(size: number, name: string, note = ''): Uint8Array {
    const part = this.bytes.subarray(this.at, this.at + size);
    if (part.byteLength !== size) throw new Error(`${name}: ends early`);
    const offset = this.at;
    this.at += size;
    for (let i = 0; i < Math.max(1, part.byteLength); i += 8) {
      const hex = [...part.subarray(i, i + 8)]
        .map((b) => b.toString(16).padStart(2, '0'))
        .join(' ');
      const place = (offset + i).toString(16).padStart(4, '0');
      const text = i === 0 ? `${name}${note === '' ? '' : ` ${note}`}` : '';
      this.lines.push(`${place}: ${hex.padEnd(24)} ${text}`.trimEnd());
    }
    return part;
  }

  u8(name: string): number {
    return this.#number(1, name);
  }

  u24(name: string): number {
    return this.#number(3, name);
  }

  u32(name: string): number {
    return this.#number(4, name);
  }

  varint(name: string): number {
    return Number(this.varintBig(name));
  }

  zigzag(name: string): number {
    const { value, size } = this.#peekVarint();
    const signed = Number(value % 2n === 0n ? value / 2n : -(value + 1n) / 2n);
    this.raw(size, name, String(signed));
    return signed;
  }

  varintBig(name: string): bigint {
    const { value, size } = this.#peekVarint();
    this.raw(size, name, String(value));
    return value;
  }

  text(name: string): string {
    const size = this.varint(`${name}: bytes`);
    const value = Buffer.from(this.bytes.subarray(this.at, this.at + size)).toString('utf8');
    this.raw(size, name, JSON.stringify(value));
    return value;
  }

  /** A CRC-32 of `parts`. */
  crc(name: string, ...parts: Uint8Array[]): void {
    const stored = new DataView(this.bytes.buffer, this.bytes.byteOffset + this.at).getUint32(
      0,
      true,
    );
    let computed = 0;
    for (const part of parts) computed = crc32(part, computed);
    if (stored !== computed) throw new Error(`${name}: ${stored} stored, ${computed} computed`);
    this.raw(4, `CRC-32 of ${name}`);
  }

  /** Throws unless the walk ended at `end`. */
  expectAt(end: number): void {
    if (this.at !== end) throw new Error(`at ${this.at}, expected ${end}`);
  }

  #number(size: number, name: string): number {
    let value = 0;
    for (let i = size - 1; i >= 0; i--) value = value * 256 + (this.bytes[this.at + i] ?? 0);
    this.raw(size, name, String(value));
    return value;
  }

  #peekVarint(): { value: bigint; size: number } {
    let value = 0n;
    let size = 0;
    for (;;) {
      const byte = this.bytes[this.at + size];
      if (byte === undefined) throw new Error('a varint ends early');
      value |= BigInt(byte & 0x7f) << BigInt(7 * size);
      size++;
      if (byte < 0x80) return { value, size };
    }
  }
}

/** Walks encoded entries to `end`. */
export function annotateEntries(a: Annotator, end: number): void {
  a.u8('layout tag');
  const count = a.varint('count');
  const columns = a.varint('columns');
  for (let c = 0; c < columns; c += 8) a.u8(`wide mask, columns ${c}..`);
  a.varint('bytes of ids');
  for (let c = 0; c < columns; c++) a.varint(`bytes of column ${c}`);
  let id = -1;
  for (let i = 0; i < count; i++) {
    id += 1;
    id += a.varint(`stack ${i}: gap`);
    a.lines.push(`${a.lines.pop()} -> id ${id}`);
  }
  for (let c = 0; c < columns; c++) {
    for (let i = 0; i < count; i++) a.varintBig(`column ${c} tick ${i}:`);
  }
  a.expectAt(end);
}

/** Walks a header of 8 bytes. */
export function annotateHeader(a: Annotator): void {
  a.raw(4, 'magic', JSON.stringify(Buffer.from(a.bytes.subarray(0, 4)).toString('latin1')));
  a.u8('version');
  a.u8('codec');
  a.raw(2, 'reserved');
}

/** Offset of the directory as the footer tells it. */
export function directoryOffset(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset + bytes.byteLength - 16).getUint32(0, true);
}

/** Walks the footer of 16 bytes that ends a file. */
export function annotateFooter(a: Annotator): void {
  a.title('footer');
  const covered = a.bytes.subarray(directoryOffset(a.bytes), a.at + 4);
  a.u32('directory offset');
  a.crc('directory and its offset', covered);
  a.u8('version');
  a.u8('codec');
  a.raw(2, 'reserved');
  a.raw(4, 'magic');
  a.expectAt(a.bytes.byteLength);
}

/** Walks six varints of table lengths. */
export function annotateLengths(a: Annotator, name: string): void {
  for (const table of ['strings', 'functions', 'frames', 'nodes', 'stacks', 'series']) {
    a.varint(`${name} ${table}: +`);
  }
}
