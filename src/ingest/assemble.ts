import { assert } from '../base/assert.ts';
import { type Label, type LabelSet, sortLabels } from '../profile/labels.ts';
import type { ProfileColumns } from '../profile/columns.ts';
import type { ProfileType } from '../profile/profile-type.ts';
import type { LabelGroup, LabelSplit } from '../profile/sample-labels.ts';
import { seriesColumn } from '../storage/column/entries.ts';
import { buildGroups } from '../storage/column/from-values.ts';
import type { ValueColumn } from '../storage/column/from-values.ts';
import type { Dictionary } from '../storage/dictionary/dictionary.ts';
import type { FragmentPush } from '../storage/fragment/encode.ts';

/** What all pushes of one profile have in common. */
export interface AssembleInput {
  readonly columns: ProfileColumns;
  /** Stack id by sample. */
  readonly stacks: Uint32Array;
  readonly split: LabelSplit;
  readonly dictionary: Dictionary;
  /** Labels of the series without `__name__`. */
  readonly labels: LabelSet;
  /** One a value column. */
  readonly types: readonly ProfileType[];
  readonly key: Uint8Array;
  readonly profileId: string;
  readonly startMs: number;
  readonly durationMs: number;
}

/** The pushes of one profile. */
export interface Assembled {
  readonly pushes: readonly FragmentPush[];
  readonly entries: number;
  /** Samples with a negative value, or with only zeros. */
  readonly samplesDropped: number;
}

/**
 * One push for each set of labels that a series gets, its samples grouped by span and trace. Samples with a
 * negative value are dropped and counted, as are those that are zero in every type.
 */
export function assemble(input: AssembleInput): Assembled {
  const { columns, split, dictionary, types, stacks } = input;
  const values = valueColumns(columns);
  const periods = columns.sampleTypes.map(({ unit }) =>
    unit === columns.periodType.unit && columns.period > 0n ? columns.period : 0n,
  );
  const pushes: FragmentPush[] = [];
  let entries = 0;
  let samplesDropped = 0;
  for (const { labels, samples } of bySeries(input.labels, split.groups)) {
    const kept = keptSamples(values, samples, columns.sampleCount);
    samplesDropped += (samples?.length ?? columns.sampleCount) - kept.length;
    if (kept.length === 0) continue;
    const spans = bySpan(kept, split);
    const built = buildGroups(
      stacks,
      spans.map((span) => span.samples),
      values,
      periods,
    );
    pushes.push({
      key: input.key,
      profileId: input.profileId,
      startMs: input.startMs,
      durationMs: input.durationMs,
      types: built.types.map((type, t) => {
        const profileType = types[t];
        assert(profileType !== undefined, 'a type for each value column');
        return seriesColumn(dictionary.internSeries(labels, profileType), type);
      }),
      groups: built.groups.map((group, g) => ({
        spanId: spans[g]?.spanId ?? '',
        traceId: spans[g]?.traceId ?? '',
        entries: group,
      })),
    });
    for (const group of built.groups) {
      entries += group.stacks.length;
    }
  }
  return { pushes, entries, samplesDropped };
}

/** The value columns one by one; full width where some value needs it. */
function valueColumns(columns: ProfileColumns): ValueColumn[] {
  const { sampleCount: count, values, wideValues } = columns;
  return columns.sampleTypes.map((_, t) =>
    wideValues === undefined
      ? values.subarray(t * count, (t + 1) * count)
      : wideValues.subarray(t * count, (t + 1) * count),
  );
}

/** Samples without a negative value and with one that is not zero. */
function keptSamples(
  values: readonly ValueColumn[],
  samples: Uint32Array | undefined,
  sampleCount: number,
): Uint32Array {
  const size = samples?.length ?? sampleCount;
  const kept = new Uint32Array(size);
  let count = 0;
  for (let i = 0; i < size; i++) {
    const sample = samples === undefined ? i : (samples[i] as number);
    let negative = false;
    let positive = false;
    for (const column of values) {
      const value = column[sample] as number | bigint;
      if (value < 0) negative = true;
      else if (value > 0) positive = true;
    }
    if (positive && !negative) kept[count++] = sample;
  }
  return kept.subarray(0, count);
}

/** Samples of one series. */
interface SeriesSamples {
  readonly labels: LabelSet;
  /** Ascending; undefined = all. */
  readonly samples: LabelGroup['samples'];
}

interface SpanSamples {
  readonly spanId: string;
  readonly traceId: string;
  readonly samples: Uint32Array;
}

function bySpan(samples: Uint32Array, split: LabelSplit): SpanSamples[] {
  const { spanOf, spans } = split;
  if (spanOf === undefined) return [{ spanId: '', traceId: '', samples }];
  const groups = new Map<number, number[]>();
  for (const sample of samples) {
    const span = spanOf[sample] as number;
    const group = groups.get(span);
    if (group === undefined) groups.set(span, [sample]);
    else group.push(sample);
  }
  return [...groups].map(([span, group]) => ({
    spanId: spans[span]?.spanId ?? '',
    traceId: spans[span]?.traceId ?? '',
    samples: Uint32Array.from(group),
  }));
}

/**
 * The groups by the labels of the series that they go to. A sample label that the series has too adds
 * nothing: samples with and without it are one push, or averages would count their profile twice.
 */
function bySeries(series: LabelSet, groups: readonly LabelGroup[]): SeriesSamples[] {
  const found = new Map<string, { labels: LabelSet; samples: LabelGroup['samples'][] }>();
  for (const { labels: own, samples } of groups) {
    const labels = withSampleLabels(series, own);
    const key = JSON.stringify(labels);
    const same = found.get(key);
    if (same === undefined) found.set(key, { labels, samples: [samples] });
    else same.samples.push(samples);
  }
  return [...found.values()].map(({ labels, samples }) => ({
    labels,
    samples: samples.length === 1 ? samples[0] : joined(samples),
  }));
}

/** All samples of several groups, ascending. */
function joined(groups: readonly LabelGroup['samples'][]): Uint32Array {
  const size = groups.reduce((sum, samples) => sum + (samples?.length ?? 0), 0);
  const all = new Uint32Array(size);
  let at = 0;
  for (const samples of groups) {
    // Where there are several, none has all samples.
    assert(samples !== undefined, 'a group of some samples');
    all.set(samples, at);
    at += samples.length;
  }
  return all.sort();
}

/** Series labels and sample labels by name; where both have a name the series' value stands. */
function withSampleLabels(series: LabelSet, sample: readonly Label[]): LabelSet {
  if (sample.length === 0) return series;
  const merged = new Map<string, string>();
  for (const [name, value] of sample) merged.set(name, value);
  for (const [name, value] of series) merged.set(name, value);
  return sortLabels([...merged]);
}
