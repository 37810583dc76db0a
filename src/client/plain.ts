import { create, toBinary } from '@bufbuild/protobuf';
import { PlainProfileSchema } from '../gen/tephra/v1/ingest_pb.ts';
import { refuseArgument } from './error.ts';

/** A frame: the name of a function, or that with its place. */
export type PlainFrame =
  | string
  | { readonly function: string; readonly file?: string; readonly line?: number };

/** What a value measures, for example `cpu` in `nanoseconds`. */
export interface ValueType {
  readonly type: string;
  readonly unit: string;
}

/** A profile without pprof. */
export interface PlainProfile {
  readonly types: readonly ValueType[];
  readonly periodType?: ValueType | undefined;
  /** Events between two samples; whole. */
  readonly period?: number | bigint | undefined;
  readonly samples: readonly {
    /** Root first. */
    readonly stack: readonly PlainFrame[];
    /** Whole numbers, one for each type. */
    readonly values: readonly (number | bigint)[];
  }[];
}

/** Bytes of a `tephra.v1.PlainProfile`. Throws {@link TephraClientError}. */
export function encodePlain(profile: PlainProfile): Uint8Array {
  const texts = new Numbers<string>();
  const frames = new Numbers<string>();
  const columns = {
    frameFunction: [] as number[],
    frameFile: [] as number[],
    frameLine: [] as number[],
    stackFrames: [] as number[],
    stackDepth: [] as number[],
  };
  for (const { stack } of profile.samples) {
    for (const frame of stack) {
      const { function: name, file = '', line = 0 } = placed(frame);
      const number = frames.of(`${texts.of(name)} ${texts.of(file)} ${line}`);
      if (number === columns.frameFunction.length) {
        columns.frameFunction.push(texts.of(name));
        columns.frameFile.push(texts.of(file));
        columns.frameLine.push(line);
      }
      columns.stackFrames.push(number);
    }
    columns.stackDepth.push(stack.length);
  }
  return toBinary(
    PlainProfileSchema,
    create(PlainProfileSchema, {
      strings: texts.all(),
      types: profile.types.map(({ type, unit }) => ({ type, unit })),
      ...(profile.periodType === undefined ? {} : { periodType: { ...profile.periodType } }),
      period: whole(profile.period ?? 0),
      ...columns,
      values: profile.types.flatMap((_, column) =>
        profile.samples.map(({ values }) => whole(values[column])),
      ),
    }),
  );
}

/** A frame with all its parts. */
export function placed(frame: PlainFrame): Exclude<PlainFrame, string> {
  return typeof frame === 'string' ? { function: frame } : frame;
}

/** A whole number as a BigInt. Throws {@link TephraClientError}. */
export function whole(value: number | bigint | undefined): bigint {
  if (typeof value === 'bigint') return value;
  if (Number.isSafeInteger(value)) return BigInt(value as number);
  throw refuseArgument(`a value: expected a whole number for each type, found ${String(value)}`);
}

/** Numbers things from 0 in the order in which they come. */
class Numbers<T> {
  readonly #numbers = new Map<T, number>();

  of(thing: T): number {
    const known = this.#numbers.get(thing);
    if (known !== undefined) return known;
    const number = this.#numbers.size;
    this.#numbers.set(thing, number);
    return number;
  }

  all(): T[] {
    return [...this.#numbers.keys()];
  }
}
