import type { TephraError } from '../base/errors.ts';

/** Stored data that an answer should have and does not: damaged, missing, or set aside. */
export interface Lost {
  /** Name of the blob, root or volume; for rows without a name, what they are. */
  readonly what: string;
  /** The part of the range that may lack values; Unix ms, both inclusive. */
  readonly startMs: number;
  readonly endMs: number;
}

/** What notes say of losses. */
export interface LossNotes {
  /** How many parts of the data are lost; the answer holds the rest. */
  readonly lostParts: number;
  /** The first LOST_SHOWN of them. */
  readonly lost: readonly Lost[];
}

/** Lost parts that notes name; a header that carries them must stay small. */
const LOST_SHOWN = 8;

/** Nothing is lost. */
export const NO_LOSSES: LossNotes = { lostParts: 0, lost: [] };

/** The losses of two parts of one answer. */
export function addLosses(a: LossNotes, b: LossNotes): LossNotes {
  return {
    lostParts: a.lostParts + b.lostParts,
    lost: [...a.lost, ...b.lost].slice(0, LOST_SHOWN),
  };
}

/** Whether an error means that stored data are damaged or set aside: it costs them, not the answer. */
export function isLoss(error: TephraError): boolean {
  return error.reason === 'corrupt_block' || error.reason === 'volume_quarantined';
}

/** Collects what a query should have had and did not find; each part once. */
export class Losses {
  readonly #parts = new Map<string, Lost>();

  /** Adds a part. */
  add(lost: Lost): void {
    this.#parts.set(`${lost.what}@${lost.startMs}`, lost);
  }

  /** What was added. */
  notes(): LossNotes {
    const lost = [...this.#parts.values()];
    return { lostParts: lost.length, lost: lost.slice(0, LOST_SHOWN) };
  }
}
