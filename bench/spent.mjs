/**
 * CPU and wall time of asynchronous work. CPU is user + system of the whole process, so that worker
 * threads, LevelDB's threads and garbage collection count.
 */
import { loadavg } from 'node:os';

/** Runs `work`; what it returned, with milliseconds. */
export async function spend(work) {
  const cpu = process.cpuUsage();
  const wall = performance.now();
  const result = await work();
  const wallMs = performance.now() - wall;
  const { user, system } = process.cpuUsage(cpu);
  return { result, cpuMs: (user + system) / 1_000, wallMs };
}

/** Median, p10 and p90 of numbers. */
export function spread(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (quantile) => sorted[Math.round(quantile * (sorted.length - 1))];
  return { median: at(0.5), p10: at(0.1), p90: at(0.9) };
}

/** A line of a report: name, median (p10 - p90) and unit. */
export function line(name, values, unit, digits = 2) {
  const { median, p10, p90 } = spread(values);
  const text = (value) => value.toFixed(digits);
  return `${name.padEnd(46)}${text(median).padStart(9)} (${text(p10)} - ${text(p90)}) ${unit}`;
}

/** A line with one figure. */
export function single(name, value, unit, digits = 2) {
  return `${name.padEnd(46)}${value.toFixed(digits).padStart(9)} ${unit}`;
}

/** First line of a report: with what it was taken. */
export function heading(title) {
  const load = loadavg()[0].toFixed(2);
  return `${title} | Node ${process.versions.node} | load average ${load}`;
}

/** Value of `--name N` on the command line. */
export function numberFlag(name, fallback) {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? fallback : Number(process.argv[at + 1]);
}
