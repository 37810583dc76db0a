import { create, toBinary, type MessageInitShape } from '@bufbuild/protobuf';
import { StreamRequestSchema } from '../../src/gen/tephra/v1/stream_pb.ts';
import type { StreamRows } from '../../src/ingest/stream/messages.ts';

/** Samples of one family at one time, as a test says them. */
export interface TestPart {
  /** Labels beside those of the stream. */
  readonly labels?: readonly (readonly [string, string])[];
  readonly types: readonly string[];
  readonly periods?: readonly bigint[];
  readonly startMs: number;
  readonly durationMs?: number;
  readonly profileId?: string;
  readonly sampleLabels?: readonly (readonly [string, string])[];
  readonly spanId?: string;
  /** `main;a;b`, and a value a column. */
  readonly samples: readonly { readonly stack: string; readonly values: readonly number[] }[];
  readonly typeColumn?: readonly number[];
  readonly typeScale?: readonly bigint[];
}

/** Encodes batches as an agent does: each row once an epoch. Deliberately shares no code with the product. */
export class TestEncoder {
  readonly epoch: number;
  readonly #strings = new Map<string, number>();
  readonly #frames = new Map<string, number>();
  readonly #stacks = new Map<string, number>();
  readonly #series = new Map<string, number>();
  readonly #texts: string[] = [];
  readonly #functions: number[] = [];
  readonly #parents: number[] = [];
  readonly #stackFrames: number[] = [];
  readonly #families: MessageInitShape<typeof StreamRequestSchema>[] = [];
  /** Rows that were sent; what is beyond comes with the next batch. */
  #sent: StreamRows = { strings: 0, frames: 0, stacks: 0, series: 0 };

  constructor(epoch: number) {
    this.epoch = epoch;
  }

  /** Rows that there are. */
  get rows(): StreamRows {
    return {
      strings: this.#texts.length,
      frames: this.#functions.length,
      stacks: this.#parents.length,
      series: this.#families.length,
    };
  }

  /** The server has these rows, and no others. */
  resume(rows: StreamRows): void {
    this.#sent = rows;
  }

  /** Bytes of a request with a batch. */
  batch(sequence: number, parts: readonly TestPart[]): Buffer {
    const encoded = parts.map((part) => this.#part(part));
    const first = this.#sent;
    const message = create(StreamRequestSchema, {
      message: {
        case: 'batch',
        value: {
          sequence: BigInt(sequence),
          epoch: this.epoch,
          additions: {
            firstString: first.strings + 1,
            strings: this.#texts.slice(first.strings),
            firstFrame: first.frames + 1,
            frames: { function: this.#functions.slice(first.frames) },
            firstStack: first.stacks + 1,
            stackParent: this.#parents.slice(first.stacks),
            stackFrame: this.#stackFrames.slice(first.stacks),
            firstSeries: first.series + 1,
            series: this.#families.slice(first.series) as never,
          },
          parts: encoded,
        },
      },
    });
    this.#sent = this.rows;
    return Buffer.from(toBinary(StreamRequestSchema, message));
  }

  #part(part: TestPart): object {
    const stacks = part.samples.map(({ stack }) => this.#stack(stack));
    const columns = part.samples[0]?.values.length ?? 0;
    const labels = part.sampleLabels ?? [];
    return {
      series: this.#family(part),
      startMs: BigInt(part.startMs),
      durationMs: part.durationMs ?? 0,
      stackDelta: stacks.map((id, i) => id - (stacks[i - 1] ?? 0)),
      values: Array.from({ length: columns }, (_, c) =>
        part.samples.map(({ values }) => BigInt(values[c] as number)),
      ).flat(),
      typeColumn: [...(part.typeColumn ?? [])],
      typeScale: [...(part.typeScale ?? [])],
      profileId: part.profileId ?? '',
      labelName: labels.map(([name]) => this.#string(name)),
      labelValue: labels.map(([, value]) => this.#string(value)),
      spans:
        part.spanId === undefined
          ? []
          : [{ spanId: Buffer.from(part.spanId, 'hex'), entries: stacks.length }],
    };
  }

  #stack(text: string): number {
    let parent = 0;
    let path = '';
    for (const name of text.split(';')) {
      path = `${path};${name}`;
      let id = this.#stacks.get(path);
      if (id === undefined) {
        id = this.#stacks.size + 1;
        this.#stacks.set(path, id);
        this.#parents.push(parent);
        this.#stackFrames.push(this.#frame(name));
      }
      parent = id;
    }
    return parent;
  }

  #frame(name: string): number {
    let id = this.#frames.get(name);
    if (id === undefined) {
      id = this.#frames.size + 1;
      this.#frames.set(name, id);
      this.#functions.push(this.#string(name));
    }
    return id;
  }

  #string(text: string): number {
    if (text === '') return 0;
    let id = this.#strings.get(text);
    if (id === undefined) {
      id = this.#strings.size + 1;
      this.#strings.set(text, id);
      this.#texts.push(text);
    }
    return id;
  }

  #family({ labels = [], types, periods = [] }: TestPart): number {
    const key = JSON.stringify([labels, types, periods.map(String)]);
    let id = this.#series.get(key);
    if (id === undefined) {
      id = this.#series.size + 1;
      this.#series.set(key, id);
      this.#families.push({
        labels: labels.map(([name, value]) => ({ name, value })),
        types: types.map((profileType, t) => ({ profileType, period: periods[t] ?? 0n })),
      } as never);
    }
    return id;
  }
}

/** Bytes of a request that opens a stream. */
export function openBytes(open: {
  readonly instance: Uint8Array;
  readonly labels?: readonly (readonly [string, string])[];
  readonly first?: number;
  readonly last?: number;
  readonly epoch?: number;
  readonly version?: number;
}): Buffer {
  const message = create(StreamRequestSchema, {
    message: {
      case: 'open',
      value: {
        version: open.version ?? 1,
        instance: open.instance,
        agent: 'test/1',
        labels: (open.labels ?? []).map(([name, value]) => ({ name, value })),
        firstSequence: BigInt(open.first ?? 1),
        lastSequence: BigInt(open.last ?? 0),
        epoch: open.epoch ?? 0,
      },
    },
  });
  return Buffer.from(toBinary(StreamRequestSchema, message));
}
