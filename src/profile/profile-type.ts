import { TephraError } from '../base/errors.ts';

/** What a series measures: `name:type:unit:periodType:periodUnit`. */
export interface ProfileType {
  /** Value of the label `__name__`. */
  readonly name: string;
  /** Sample type, e.g. `cpu`. */
  readonly type: string;
  /** Sample unit, e.g. `nanoseconds`. */
  readonly unit: string;
  readonly periodType: string;
  readonly periodUnit: string;
}

/**
 * A part of a type as it is stored: `:` ends a part in the id, and becomes `_`. Event names of perf have
 * it (`cycles:u`); with it no query could name the type.
 */
export function typePart(text: string): string {
  return text.replaceAll(':', '_');
}

/**
 * The five-part id of a type: never more parts, also of a type that was stored with a `:` by an early
 * version, or one such series would keep all types from being listed.
 */
export function formatProfileType(type: ProfileType): string {
  const { name, type: sampleType, unit, periodType, periodUnit } = type;
  return [name, sampleType, unit, periodType, periodUnit].map(typePart).join(':');
}

/** Parses a five-part id; a sixth part `delta` is accepted. Throws `invalid_profile_type`. */
export function parseProfileType(id: string): ProfileType {
  const parts = id.split(':');
  if (parts.length === 6 && parts[5] === 'delta') parts.pop();
  const [name, type, unit, periodType, periodUnit] = parts;
  if (
    parts.length !== 5 ||
    name === undefined ||
    type === undefined ||
    unit === undefined ||
    periodType === undefined ||
    periodUnit === undefined
  ) {
    throw new TephraError(
      'invalid_profile_type',
      `expected name:type:unit:period_type:period_unit, found ${JSON.stringify(id.slice(0, 128))}`,
    );
  }
  return { name, type, unit, periodType, periodUnit };
}
