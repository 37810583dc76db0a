import type { Label } from '../../src/profile/labels.ts';

/** A frame as an agent knows it; plain objects, no ids. */
export interface ModelFrame {
  /** '' = no symbols: the frame is told by its mapping and address. */
  readonly name: string;
  readonly systemName: string;
  readonly file: string;
  readonly startLine: number;
  readonly line: number;
  readonly mappingFile: string;
  readonly buildId: string;
  readonly address: number;
  /** Inlined into the frame before it (towards the root). */
  readonly inlined: boolean;
}

/** A stack, root first, with one value a sample type. */
export interface ModelSample {
  readonly frames: readonly ModelFrame[];
  readonly values: readonly bigint[];
  /** String labels of the sample. */
  readonly labels: readonly Label[];
}

/** What an agent sends, before it is encoded. */
export interface ModelProfile {
  readonly sampleTypes: readonly (readonly [type: string, unit: string])[];
  readonly periodType: readonly [type: string, unit: string];
  readonly period: bigint;
  /** 0n = the body has no time. */
  readonly timeNanos: bigint;
  readonly samples: readonly ModelSample[];
}

/** The pprof bytes of a profile; written apart from the product's own code. */
export function encodePprof(profile: ModelProfile): Uint8Array {
  const strings = new Map<string, number>([['', 0]]);
  const text = (value: string): number => intern(strings, value);
  const functions = new Map<string, number>();
  const mappings = new Map<string, number>();
  const locations = new Map<string, number>();
  const out = new Wire();

  const valueType = ([type, unit]: readonly [string, string]): Wire =>
    new Wire().varint(1, text(type)).varint(2, text(unit));
  for (const type of profile.sampleTypes) out.message(1, valueType(type));

  const mappingOf = (frame: ModelFrame): number => {
    const key = JSON.stringify([frame.mappingFile, frame.buildId]);
    const known = mappings.get(key);
    if (known !== undefined) return known;
    const id = mappings.size + 1;
    mappings.set(key, id);
    out.message(
      3,
      new Wire().varint(1, id).varint(5, text(frame.mappingFile)).varint(6, text(frame.buildId)),
    );
    return id;
  };
  const functionOf = (frame: ModelFrame): number => {
    const { name, systemName, file, startLine } = frame;
    const key = JSON.stringify([name, systemName, file, startLine]);
    const known = functions.get(key);
    if (known !== undefined) return known;
    const id = functions.size + 1;
    functions.set(key, id);
    out.message(
      5,
      new Wire()
        .varint(1, id)
        .varint(2, text(name))
        .varint(3, text(systemName))
        .varint(4, text(file))
        .varint(5, startLine),
    );
    return id;
  };
  /** A frame and what is inlined into it are one location, innermost line first. */
  const locationOf = (chain: readonly ModelFrame[]): number => {
    const key = JSON.stringify(chain);
    const known = locations.get(key);
    if (known !== undefined) return known;
    const id = locations.size + 1;
    locations.set(key, id);
    const caller = chain[0] as ModelFrame;
    const location = new Wire()
      .varint(1, id)
      .varint(2, mappingOf(caller))
      .varint(3, caller.address);
    for (const frame of chain.toReversed()) {
      if (frame.name === '') continue;
      location.message(4, new Wire().varint(1, functionOf(frame)).varint(2, frame.line));
    }
    out.message(4, location);
    return id;
  };

  for (const sample of profile.samples) {
    const chains: ModelFrame[][] = [];
    for (const frame of sample.frames) {
      if (frame.inlined) chains.at(-1)?.push(frame);
      else chains.push([frame]);
    }
    const ids = new Wire();
    for (const chain of chains.toReversed()) ids.bare(BigInt(locationOf(chain)));
    const values = new Wire();
    for (const value of sample.values) values.bare(value);
    const message = new Wire().message(1, ids).message(2, values);
    for (const [name, value] of sample.labels) {
      message.message(3, new Wire().varint(1, text(name)).varint(2, text(value)));
    }
    out.message(2, message);
  }
  out.bigVarint(9, profile.timeNanos);
  out.message(11, valueType(profile.periodType));
  out.bigVarint(12, profile.period);
  for (const value of strings.keys()) out.bytes(6, Buffer.from(value, 'utf8'));
  return Uint8Array.from(out.all);
}

function intern(table: Map<string, number>, key: string): number {
  const known = table.get(key);
  if (known !== undefined) return known;
  table.set(key, table.size);
  return table.size - 1;
}

/** Protobuf wire format, the naive way. */
class Wire {
  readonly all: number[] = [];

  bare(value: bigint): this {
    let rest = BigInt.asUintN(64, value);
    while (rest > 0x7fn) {
      this.all.push(Number(rest & 0x7fn) | 0x80);
      rest >>= 7n;
    }
    this.all.push(Number(rest));
    return this;
  }

  small(value: number): this {
    let rest = value;
    while (rest > 0x7f) {
      this.all.push((rest % 128) | 0x80);
      rest = Math.floor(rest / 128);
    }
    this.all.push(rest);
    return this;
  }

  varint(field: number, value: number): this {
    return value === 0 ? this : this.small(field * 8).small(value);
  }

  bigVarint(field: number, value: bigint): this {
    return value === 0n ? this : this.small(field * 8).bare(value);
  }

  bytes(field: number, bytes: ArrayLike<number>): this {
    this.small(field * 8 + 2).small(bytes.length);
    for (let i = 0; i < bytes.length; i++) this.all.push(bytes[i] as number);
    return this;
  }

  message(field: number, message: Wire): this {
    return this.bytes(field, message.all);
  }
}
