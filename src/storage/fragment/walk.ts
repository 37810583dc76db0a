import { ByteReader } from '../../base/bytes.ts';
import type { SectionRange } from './decode.ts';
import {
  GROUP_HAS_SPAN,
  GROUP_HAS_TRACE,
  PROFILE_ID_NONE,
  PROFILE_ID_TEXT,
  PROFILE_ID_UUID,
} from './tags.ts';

const TWO_32 = 0x1_0000_0000;

/**
 * Goes through the pushes of a section one by one, without an object for any: for who reads many of them
 * once. The section was checked, or never left this process.
 */
export class SectionWalk {
  /** Place of the present push in the section. */
  index = -1;
  /** Unix ms. */
  startMs = 0;
  /** The types are `bytes[typesAt, typesEnd)`, see `readTypesAt`: often the same for many pushes. */
  typesAt = 0;
  typesEnd = 0;
  /** Sums of the ticks by column, below 2^64: low and high 32 bits in turn. */
  readonly ticks: number[] = [];
  /** By group: its entries. */
  readonly groupAt: number[] = [];
  readonly groupEnd: number[] = [];
  readonly #section: SectionRange;
  readonly #reader: ByteReader;

  /** `bytes` are those of the whole fragment. */
  constructor(bytes: Uint8Array, section: SectionRange) {
    this.#section = section;
    this.#reader = new ByteReader(bytes, 'section', section.at, section.end);
    this.#skip(this.#reader.varint());
  }

  /** Whether there is another push; its fields are there until the next call. Throws `corrupt_block`. */
  next(): boolean {
    const reader = this.#reader;
    const { dayMs, minMs, maxMs, pushCount } = this.#section;
    if (++this.index >= pushCount) {
      reader.expectEnd();
      return false;
    }
    this.#skipProfileId();
    this.startMs = dayMs + reader.varint();
    if (this.startMs < minMs || this.startMs > maxMs) reader.fail('a push outside of the range');
    skipVarint(reader);
    this.typesAt = reader.at;
    for (let left = 3 * reader.varint(); left > 0; left--) skipVarint(reader);
    this.typesEnd = reader.at;
    this.#readTicks(reader.varint());
    this.#readGroups(reader.varint());
    return true;
  }

  #skipProfileId(): void {
    const tag = this.#reader.u8();
    if (tag === PROFILE_ID_UUID) this.#skip(16);
    else if (tag === PROFILE_ID_TEXT) this.#skip(this.#reader.varint());
    else if (tag !== PROFILE_ID_NONE) this.#reader.fail(`unknown tag of a profile id ${tag}`);
  }

  #readTicks(columns: number): void {
    const { ticks } = this;
    const reader = this.#reader;
    ticks.length = 0;
    for (let column = 0; column < columns; column++) {
      const start = reader.at;
      skipVarint(reader);
      const isShort = reader.at - start <= 7;
      reader.seek(start);
      if (isShort) {
        const tick = reader.varint();
        ticks.push(tick >>> 0, Math.floor(tick / TWO_32));
      } else {
        const tick = reader.varintBig();
        ticks.push(Number(tick & 0xffff_ffffn), Number(tick >> 32n));
      }
    }
  }

  #readGroups(groups: number): void {
    const reader = this.#reader;
    this.groupAt.length = 0;
    this.groupEnd.length = 0;
    for (let group = 0; group < groups; group++) {
      const flags = reader.u8();
      if (flags > (GROUP_HAS_SPAN | GROUP_HAS_TRACE)) reader.fail(`unknown flags ${flags}`);
      if (flags !== 0) this.#skip(((flags & GROUP_HAS_SPAN) === 0 ? 0 : 8) + (flags < 2 ? 0 : 16));
      const size = reader.varint();
      this.groupAt.push(reader.at);
      this.#skip(size);
      this.groupEnd.push(reader.at);
    }
  }

  #skip(size: number): void {
    const reader = this.#reader;
    if (size > reader.left) reader.fail(`length ${size} exceeds remaining ${reader.left}`);
    reader.seek(reader.at + size);
  }
}

function skipVarint(reader: ByteReader): void {
  while (reader.u8() >= 0x80);
}
