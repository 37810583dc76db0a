import type { ValueType } from '../columns.ts';

/** How a profile of OTLP is stored. */
export interface SeriesType {
  /** The label `__name__`. */
  readonly name: string;
  readonly sampleType: ValueType;
  readonly periodType: ValueType;
  /** In the unit of `periodType`; 0n = none. */
  readonly period: bigint;
  /** Value of one count. */
  readonly scale: bigint;
}

const CPU: ValueType = { type: 'cpu', unit: 'nanoseconds' };
const NAME_MAX = 128;

/**
 * The type under which a profile is stored. Counts of a CPU profiler, whose period says what each is
 * worth, become time. All others are as sent, under the name of their period type, as Pyroscope has it; where
 * that is empty, of their sample type.
 */
export function seriesType(
  sampleType: ValueType,
  periodType: ValueType,
  period: bigint,
): SeriesType {
  const isCpu = is(periodType, CPU) && period > 0n;
  if (isCpu && is(sampleType, { type: 'samples', unit: 'count' })) {
    return { name: 'process_cpu', sampleType: CPU, periodType: CPU, period, scale: period };
  }
  const name = metricName(periodType.type) || metricName(sampleType.type) || 'profile';
  return { name, sampleType, periodType, period: period > 0n ? period : 0n, scale: 1n };
}

function is(a: ValueType, b: ValueType): boolean {
  return a.type === b.type && a.unit === b.unit;
}

/** A text as a name of a metric may be. */
function metricName(text: string): string {
  const name = text.slice(0, NAME_MAX).replaceAll(/[^a-zA-Z0-9_]/g, '_');
  return /^\d/.test(name) ? `_${name}` : name;
}
