import type { Moving, SampleTables } from './tables.ts';

/** A span or trace, and how many entries were sampled in it. */
export interface SpanRun {
  /** 16 hex digits, or ''. */
  readonly spanId: string;
  /** 32 hex digits, or ''. */
  readonly traceId: string;
  readonly entries: number;
}

/** Samples of one family that begin at one time. Numbers are those of the stream's tables. */
export interface SamplePart {
  readonly family: number;
  /** Start, Unix ms. The samples count in its minute. */
  readonly startMs: number;
  readonly durationMs: number;
  /** By entry, its stack. One that comes twice is summed. */
  readonly stacks: ArrayLike<number>;
  /** Columns by entry: whole numbers below 2^53, not negative. */
  readonly columns: readonly ArrayLike<number>[];
  /** By type of the family, the column that it reads. None = each type has its own. */
  readonly typeColumn?: readonly number[] | undefined;
  /** By type, what its column is multiplied with; 0 = values are as they are. */
  readonly typeScale?: readonly number[] | undefined;
  /** Id under which the samples are found; '' = none. */
  readonly profileId?: string | undefined;
  /** Labels of these samples alone: numbers of texts. */
  readonly labels?: readonly (readonly [name: number, value: number])[] | undefined;
  /** Runs over the entries in order; entries behind the last have no span. */
  readonly spans?: readonly SpanRun[] | undefined;
}

/** Parts that are stored together. */
export interface Batch {
  /** Counts all batches from 1, sent or not. */
  readonly ordinal: number;
  /** 0 until it is sent for the first time; kept from then on. */
  sequence: number;
  parts: readonly SamplePart[];
  readonly entries: number;
  /** What it takes in memory, about. */
  readonly bytes: number;
}

/** Entries of a batch at most: with all rows that they need a message stays well below its limit. */
const BATCH_ENTRIES_MAX = 16_384;
/** Rows that the entries of a batch may need, stacks and frames together. */
const BATCH_ROWS_MAX = 65_536;
/** Bytes of the texts that they may need. */
const BATCH_TEXT_BYTES_MAX = 1024 * 1024;
const BATCH_PARTS_MAX = 1_024;

/**
 * Cuts parts into groups, each small enough to be a message together with every row that it needs: after
 * a new epoch all of them are sent again.
 */
export function* groupParts(
  parts: readonly SamplePart[],
  tables: SampleTables,
): Generator<readonly SamplePart[]> {
  let group: SamplePart[] = [];
  let need = new Need(tables);
  for (const part of parts) {
    let from = 0;
    for (let entry = 0; entry < part.stacks.length; entry++) {
      need.add(part.stacks[entry] as number);
      if (!need.full) continue;
      group.push(sliceOf(part, from, entry + 1));
      yield group;
      group = [];
      need = new Need(tables);
      from = entry + 1;
    }
    if (from < part.stacks.length) group.push(sliceOf(part, from, part.stacks.length));
    if (group.length < BATCH_PARTS_MAX) continue;
    yield group;
    group = [];
    need = new Need(tables);
  }
  if (group.length > 0) yield group;
}

/** The part with the numbers of other tables. */
export function movePart(part: SamplePart, moving: Moving): SamplePart {
  return {
    ...part,
    family: moving.family(part.family),
    stacks: Uint32Array.from(part.stacks, (stack) => moving.stack(stack)),
    labels: part.labels?.map(([name, value]) => [moving.text(name), moving.text(value)] as const),
  };
}

/** What a part takes in memory, about, in bytes. */
export function partBytes(part: SamplePart): number {
  const { stacks, columns, spans = [], labels = [] } = part;
  return 128 + stacks.length * (4 + 8 * columns.length) + spans.length * 128 + labels.length * 32;
}

function sliceOf(part: SamplePart, from: number, to: number): SamplePart {
  if (from === 0 && to === part.stacks.length) return part;
  const slice = (column: ArrayLike<number>): number[] =>
    Array.prototype.slice.call(column, from, to);
  return {
    ...part,
    stacks: slice(part.stacks),
    columns: part.columns.map(slice),
    spans: sliceRuns(part.spans ?? [], from, to),
  };
}

function sliceRuns(runs: readonly SpanRun[], from: number, to: number): SpanRun[] {
  const sliced: SpanRun[] = [];
  let at = 0;
  for (const run of runs) {
    const entries = Math.min(at + run.entries, to) - Math.max(at, from);
    if (entries > 0) sliced.push({ ...run, entries });
    at += run.entries;
  }
  return sliced;
}

/** What the entries of a group need. */
class Need {
  readonly #tables: SampleTables;
  readonly #stacks = new Set<number>([0]);
  readonly #frames = new Set<number>();
  readonly #texts = new Set<number>();
  #textBytes = 0;
  #entries = 0;

  constructor(tables: SampleTables) {
    this.#tables = tables;
  }

  get full(): boolean {
    return (
      this.#entries >= BATCH_ENTRIES_MAX ||
      this.#stacks.size + this.#frames.size >= BATCH_ROWS_MAX ||
      this.#textBytes >= BATCH_TEXT_BYTES_MAX
    );
  }

  add(stack: number): void {
    this.#entries++;
    const { stackParent, stackFrame, frameFunction, frameFile } = this.#tables;
    let at = stack;
    while (!this.#stacks.has(at)) {
      this.#stacks.add(at);
      const frame = stackFrame[at] as number;
      if (!this.#frames.has(frame)) {
        this.#frames.add(frame);
        this.#text(frameFunction[frame] as number);
        this.#text(frameFile[frame] as number);
      }
      at = stackParent[at] as number;
    }
  }

  #text(text: number): void {
    if (this.#texts.has(text)) return;
    this.#texts.add(text);
    this.#textBytes += (this.#tables.texts[text] as string).length;
  }
}
