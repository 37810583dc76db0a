type Steps = readonly (readonly [size: number, unit: string])[];

const STEPS: Readonly<Record<string, Steps>> = {
  nanoseconds: [
    [86_400e9, 'd'],
    [3_600e9, 'h'],
    [60e9, 'min'],
    [1e9, 's'],
    [1e6, 'ms'],
    [1e3, 'µs'],
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

const COUNTS: Steps = [
  [1e9, 'G'],
  [1e6, 'M'],
  [1e4, 'k'],
];

const SPANS: Steps = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'min'],
  [1_000, 's'],
  [1, 'ms'],
];

/** A value in a unit of pprof, three digits long: `1.25 s`, `12.5 MiB`, `42`. */
export function formatValue(value: number, unit: string): string {
  const amount = Math.abs(value);
  if (amount === 0) return '0';
  const steps = STEPS[unit];
  if (steps === undefined) {
    const [size, name] = COUNTS.find(([from]) => amount >= from) ?? [1, ''];
    // Ten thousand is where counts are shortened, by thousands.
    const by = size === 1e4 ? 1e3 : size;
    return name === '' ? trimmed(value) : `${trimmed(value / by)} ${name}`;
  }
  const [size, name] = steps.find(([from]) => amount >= from) ?? [1, steps.at(-1)?.[1] ?? ''];
  return `${trimmed(value / size)} ${name}`;
}

/** The same with its sign: `+1.25 s`, `−3`. */
export function formatChange(value: number, unit: string): string {
  return `${value > 0 ? '+' : value < 0 ? '−' : ''}${formatValue(Math.abs(value), unit)}`;
}

/** A share as `12.3 %`; what is more than nothing never reads as nothing. */
export function formatShare(share: number): string {
  const percent = Math.abs(share) * 100;
  if (percent === 0 || !Number.isFinite(percent)) return '0 %';
  if (percent < 0.01) return '< 0.01 %';
  return `${percent < 1 ? percent.toFixed(2) : percent.toFixed(1)} %`;
}

/** A difference of shares in points, with its sign. */
export function formatPoints(change: number): string {
  const sign = change > 0 ? '+' : change < 0 ? '−' : '';
  return `${sign}${formatShare(change)}`;
}

/** A length of time: `30 s`, `1.5 h`. */
export function formatSpan(ms: number): string {
  const [size, name] = SPANS.find(([from]) => ms >= from) ?? [1, 'ms'];
  return `${trimmed(ms / size)} ${name}`;
}

/** A moment in the reader's own time zone; with its day where the range passes one. */
export function formatMoment(ms: number, withDay: boolean, withSeconds = false): string {
  const moment = new Date(ms);
  const two = (value: number): string => String(value).padStart(2, '0');
  const seconds = withSeconds ? `:${two(moment.getSeconds())}` : '';
  const time = `${two(moment.getHours())}:${two(moment.getMinutes())}${seconds}`;
  return withDay
    ? `${moment.getFullYear()}-${two(moment.getMonth() + 1)}-${two(moment.getDate())} ${time}`
    : time;
}

/** `process_cpu · cpu` of a profile type's id, and its unit. */
export function readType(id: string): { label: string; unit: string } {
  const [name = '', sample = '', unit = ''] = id.split(':');
  return { label: name === sample ? name : `${name} · ${sample}`, unit };
}

/** Three digits, no zeros at the end. */
function trimmed(value: number): string {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toFixed(digits).replace(/\.?0+$/, (zeros) => (zeros.startsWith('.') ? '' : zeros));
}
