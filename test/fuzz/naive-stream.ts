import { fromBinary } from '@bufbuild/protobuf';
import { StreamRequestSchema, type StreamPart } from '../../src/gen/tephra/v1/stream_pb.ts';

/** Sums of a part by span, trace and stack; a value for each type. Without what is 0 in all of them. */
export interface PartSums {
  readonly startMs: number;
  readonly durationMs: number;
  readonly profileId: string;
  readonly sums: ReadonlyMap<string, readonly bigint[]>;
}

/** All that is beyond counts as this. */
const INT64_MAX = (1n << 63n) - 1n;

/** `value`, at most 2^63 - 1. */
export function capped(value: bigint): bigint {
  return value > INT64_MAX ? INT64_MAX : value;
}

/**
 * Reads valid batches of one epoch by a generated decoder, the plain way: texts, maps and BigInt. It trusts
 * what it reads, and shares no code with the product.
 */
export class NaiveStream {
  readonly #strings: string[] = [''];
  readonly #frames: string[] = ['(no frame)'];
  /** Frames of each stack, root first. */
  readonly #stacks: (readonly string[])[] = [[]];
  /** Types of each family. */
  readonly #types: number[] = [0];

  /** The parts of the next batch. */
  take(bytes: Uint8Array): PartSums[] {
    const { message } = fromBinary(StreamRequestSchema, bytes);
    if (message.case !== 'batch') throw new Error('no batch');
    const { additions, parts } = message.value;
    if (additions !== undefined) {
      this.#add(this.#strings, additions.firstString, additions.strings);
      const { frames } = additions;
      const names = (frames?.function ?? []).map((_, i) => {
        const text = (column: readonly number[] | undefined): string =>
          this.#strings[column?.[i] ?? 0] as string;
        const number = (column: readonly (number | bigint)[] | undefined): string =>
          String(column?.[i] ?? 0);
        const from = [text(frames?.mappingFile), text(frames?.buildId)] as const;
        const address = number(frames?.address);
        if ((frames?.function[i] ?? 0) === 0 && `${from.join('')}${address}` !== '0') {
          return bareFrame(...from, address);
        }
        return [
          text(frames?.function),
          text(frames?.systemName),
          text(frames?.file),
          number(frames?.startLine),
          number(frames?.line),
          number(frames?.column),
          ...from,
          number(frames?.inlined) === '0' ? '' : 'inlined',
        ].join('|');
      });
      this.#add(this.#frames, additions.firstFrame, names);
      const known = this.#stacks.length;
      for (const [i, parent] of additions.stackParent.entries()) {
        if (additions.firstStack + i < known) continue;
        const frame = this.#frames[additions.stackFrame[i] as number] as string;
        this.#stacks.push([...(this.#stacks[parent] as readonly string[]), frame]);
      }
      const types = additions.series.map((series) => series.types.length);
      this.#add(this.#types, additions.firstSeries, types);
    }
    return parts.map((part) => this.#part(part));
  }

  /** Rows that are there come again; the columns of an empty table may lack their first id. */
  #add<T>(table: T[], first: number, rows: readonly T[]): void {
    const known = table.length;
    for (const [i, row] of rows.entries()) if (first + i >= known) table.push(row);
  }

  #part(part: StreamPart): PartSums {
    const sums = new Map<string, bigint[]>();
    const types = this.#types[part.series] as number;
    const runs = part.spans.flatMap(({ spanId, traceId, entries }) =>
      Array.from({ length: entries }, () => spanKey(hexOf(spanId), hexOf(traceId))),
    );
    let stack = 0;
    for (const [i, delta] of part.stackDelta.entries()) {
      stack = (stack + delta) | 0;
      const frames = this.#stacks[stack] as readonly string[];
      const key = stackKey(runs[i] ?? spanKey('', ''), frames);
      const values = sums.get(key) ?? Array.from({ length: types }, () => 0n);
      for (let t = 0; t < types; t++) {
        const column = part.typeColumn[t] ?? t;
        const value = part.values[column * part.stackDelta.length + i] as bigint;
        const scale = part.typeScale[t] ?? 0n;
        values[t] = (values[t] as bigint) + value * (scale === 0n ? 1n : scale);
      }
      sums.set(key, values);
    }
    const kept = [...sums].filter(([, values]) => values.some((value) => value !== 0n));
    return {
      startMs: Number(BigInt.asIntN(64, part.startMs)),
      durationMs: part.durationMs,
      profileId: part.profileId,
      sums: new Map(kept.map(([key, values]) => [key, values.map(capped)])),
    };
  }
}

/** A frame without a function: its build id, else its file, and its address. */
export function bareFrame(mappingFile: string, buildId: string, address: string): string {
  return `${buildId === '' ? `file ${mappingFile}` : `build ${buildId}`} at ${address}`;
}

/** What entries of a span are told by; '' where there is none. */
export function spanKey(spanId: string, traceId: string): string {
  return `${spanId}/${traceId}`;
}

/** What entries of a stack are told by; the stack without frames has a frame that says so. */
export function stackKey(span: string, frames: readonly string[]): string {
  const known = frames.length === 0 ? ['(no stack)|||0|0|0|||'] : frames;
  return [span, ...known].join('\n');
}

function hexOf(id: Uint8Array): string {
  return id.every((byte) => byte === 0) ? '' : Buffer.from(id).toString('hex');
}
