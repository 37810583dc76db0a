/** What every campaign of `npm run torture` keeps: seeds in, figures and failures out. */

/** Seeds `from` to `to`, both included. */
export interface SeedRange {
  readonly from: number;
  readonly to: number;
}

/** What a campaign is run with. */
export interface CampaignOptions {
  readonly seeds: SeedRange;
  /** Takes more of what costs time within one seed, too. */
  readonly long: boolean;
  /** Broken promises after which a run has told enough. */
  readonly failuresMax: number;
  /** Shows a line of progress. */
  readonly tell: (line: string) => void;
}

/** What a campaign found. */
export interface CampaignReport {
  /** Counts that show the reach, in the order in which they are shown. */
  readonly figures: Readonly<Record<string, number>>;
  /** Broken promises, each with the command that replays it; empty = kept. */
  readonly failures: readonly string[];
  /** Why nothing was run, where this machine lacks what it takes. */
  readonly skipped?: string;
}

/** One promise under fire. */
export interface Campaign {
  /** Word on the command line. */
  readonly name: string;
  /** What it does, in one line. */
  readonly what: string;
  /** Seeds of the form that runs with the default suite, and of the long one. */
  readonly short: SeedRange;
  readonly long: SeedRange;
  /** Seeds after which a long form tells and records what it has so far: a few minutes' work. */
  readonly slice: number;
  /** Runs the seeds; rejects only where it cannot run at all. */
  run(options: CampaignOptions): Promise<CampaignReport>;
}

/** Seeds of a range, ascending. */
export function* seedsOf({ from, to }: SeedRange): Iterable<number> {
  for (let seed = from; seed <= to; seed++) yield seed;
}

/** A range in slices of at most `size` seeds. */
export function* slicesOf({ from, to }: SeedRange, size: number): Iterable<SeedRange> {
  for (let at = from; at <= to; at += size) yield { from: at, to: Math.min(to, at + size - 1) };
}

/** Figures of two runs, added by name. */
export function addFigures(
  a: CampaignReport['figures'],
  b: CampaignReport['figures'],
): CampaignReport['figures'] {
  const sums = { ...a };
  for (const [name, count] of Object.entries(b)) sums[name] = (sums[name] ?? 0) + count;
  return sums;
}

/** The command that runs one seed again. */
export function replayOf(name: string, seed: number): string {
  return `npm run torture -- ${name} --seeds ${seed}..${seed}`;
}

/** `a..b` or `a` as a range; undefined if it is none. */
export function parseSeeds(text: string): SeedRange | undefined {
  const match = /^(\d+)(?:\.\.(\d+))?$/.exec(text);
  if (match === null) return undefined;
  const from = Number(match[1]);
  const to = Number(match[2] ?? match[1]);
  return from <= to ? { from, to } : undefined;
}
