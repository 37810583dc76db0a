import type {
  Exactness as ExactnessMessage,
  Mean as MeanMessage,
} from '../gen/tephra/v1/exactness_pb.ts';

/**
 * How exact an answer is, and the weight of everything that it left out or folded. Fields and the sums
 * that hold between them: docs/queries.md.
 */
export interface Exactness {
  readonly exact: boolean;
  readonly total: bigint;
  readonly profiles: number;
  readonly foldedValue: bigint;
  readonly truncatedValue: bigint;
  readonly damagedValue: bigint;
  readonly wholeMinutes: number;
  readonly edgeAddedValue: bigint;
  readonly edgeDroppedValue: bigint;
  readonly cutLabelsValue: bigint;
  readonly unreadProfiles: number;
  readonly damagedSections: number;
  readonly lostMinutes: number;
  readonly lostParts: number;
  readonly lost: readonly {
    readonly what: string;
    readonly startMs: number;
    readonly endMs: number;
  }[];
  readonly saturated: boolean;
  readonly resolutionMs: number;
  readonly blocksRead: number;
  readonly bytesRead: number;
}

/** The mean over time of a type whose values are states: `value` = total / `instants`. */
export interface Mean {
  readonly value: number;
  readonly instants: number;
}

/** What every answer of a query has. */
export interface Answer {
  readonly exactness: Exactness;
  /** Only for types of states: memory in use, goroutines. */
  readonly mean?: Mean;
}

/** The record of an answer; one that a server left out counts as not exact. */
export function answerOf(message: {
  readonly exactness?: ExactnessMessage | undefined;
  readonly mean?: MeanMessage | undefined;
}): Answer {
  const { exactness, mean } = message;
  return {
    exactness: exactnessOf(exactness),
    ...(mean === undefined ? {} : { mean: { value: mean.value, instants: Number(mean.instants) } }),
  };
}

function exactnessOf(record: ExactnessMessage | undefined): Exactness {
  return {
    exact: record?.exact ?? false,
    total: record?.total ?? 0n,
    profiles: Number(record?.profiles ?? 0n),
    foldedValue: record?.foldedValue ?? 0n,
    truncatedValue: record?.truncatedValue ?? 0n,
    damagedValue: record?.damagedValue ?? 0n,
    wholeMinutes: Number(record?.wholeMinutes ?? 0n),
    edgeAddedValue: record?.edgeAddedValue ?? 0n,
    edgeDroppedValue: record?.edgeDroppedValue ?? 0n,
    cutLabelsValue: record?.cutLabelsValue ?? 0n,
    unreadProfiles: Number(record?.unreadProfiles ?? 0n),
    damagedSections: Number(record?.damagedSections ?? 0n),
    lostMinutes: Number(record?.lostMinutes ?? 0n),
    lostParts: Number(record?.lostParts ?? 0n),
    lost: (record?.lost ?? []).map(({ what, startMs, endMs }) => ({
      what,
      startMs: Number(startMs),
      endMs: Number(endMs),
    })),
    saturated: record?.saturated ?? false,
    resolutionMs: Number(record?.resolutionMs ?? 0n),
    blocksRead: Number(record?.blocksRead ?? 0n),
    bytesRead: Number(record?.bytesRead ?? 0n),
  };
}
