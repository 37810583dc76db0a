/** Values as people read them, by the unit of a profile type. */

const STEPS: Readonly<Record<string, readonly (readonly [size: number, unit: string])[]>> = {
  nanoseconds: [
    [3.6e12, 'h'],
    [60e9, 'min'],
    [1e9, 's'],
    [1e6, 'ms'],
    [1e3, 'us'],
    [1, 'ns'],
  ],
  bytes: [
    [1024 ** 4, 'TiB'],
    [1024 ** 3, 'GiB'],
    [1024 ** 2, 'MiB'],
    [1024, 'KiB'],
    [1, 'B'],
  ],
};

const COUNT_STEPS = [
  [1e9, 'G'],
  [1e6, 'M'],
  [1e3, 'k'],
] as const;

/** `1.25 s`, `3.00 MiB`, `42`; counts from 10,000 are shortened. */
export function formatValue(value: bigint, unit: string): string {
  const amount = Number(value);
  const steps = STEPS[unit];
  if (steps === undefined) {
    if (Math.abs(amount) < 10_000) return String(value);
    const [size, name] = COUNT_STEPS.find(([step]) => Math.abs(amount) >= step) ?? [1, ''];
    return `${(amount / size).toFixed(2)}${name}`;
  }
  const [size, name] = steps.find(([step]) => Math.abs(amount) >= step) ?? [1, ''];
  if (size === 1) return name === '' ? '0' : `${value} ${name}`;
  return `${(amount / size).toFixed(2)} ${name}`;
}

/** `12.3%` of `whole`; empty if that is 0. */
export function formatShare(part: bigint, whole: bigint): string {
  return whole === 0n ? '' : `${((Number(part) / Number(whole)) * 100).toFixed(1)}%`;
}

/** The third part of a profile type id: its unit. */
export function unitOf(profileType: string): string {
  return profileType.split(':')[2] ?? '';
}

/** `+1.25 s`, `-3.00 MiB`, `0`. */
export function formatSigned(value: bigint, unit: string): string {
  return `${value > 0n ? '+' : ''}${formatValue(value, unit)}`;
}

/** `+12.3%`: `change` as part of `whole`, with its sign. */
export function formatPercent(change: bigint, whole: bigint): string {
  const text = formatShare(change, whole);
  return change > 0n ? `+${text}` : text;
}

/** `+1.2 pp`: a difference of shares, in percentage points. */
export function formatPoints(difference: number): string {
  const points = (difference * 100).toFixed(1);
  if (points === '0.0' || points === '-0.0') return '0.0 pp';
  return `${difference > 0 ? '+' : ''}${points} pp`;
}
