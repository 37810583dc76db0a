import type { Label } from '../../profile/labels.ts';
import type { Exemplar, QueryNotes } from '../request.ts';
import type { HeatGroup } from './heat.ts';

/** What one host has for a timeline: exact sums, before averages and limits. May cross a thread. */
export interface SeriesPart {
  readonly groups: readonly SeriesGroup[];
  /** Single profiles behind points; absent = none. */
  readonly exemplars?: readonly PartExemplar[] | undefined;
  /** Single values of a heat map; absent = the timeline is none. */
  readonly heat?: readonly HeatGroup[] | undefined;
  /** What it lacks and what it read; absent = nothing. */
  readonly notes?: QueryNotes | undefined;
}

/** A profile that stands for a point of a line. */
export interface PartExemplar {
  /** Labels of the line. */
  readonly group: readonly Label[];
  readonly step: number;
  /** The bucket of a heat map that it stands in. */
  readonly bucket?: number | undefined;
  readonly exemplar: Exemplar;
}

/** One line of the timeline; the three lists are parallel and in no particular order. */
export interface SeriesGroup {
  /** The grouped labels, sorted by name. */
  readonly labels: readonly Label[];
  /** Step k is the point at start + k * step. */
  readonly steps: readonly number[];
  readonly sums: readonly bigint[];
  /** Profiles behind each sum. */
  readonly counts: readonly number[];
}
