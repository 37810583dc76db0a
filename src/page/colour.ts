import { hashText } from './flame.ts';

/** Hues of a flame graph; a function always has the same, and so has all of its package. */
export const HUES = 8;

/** Steps of a diff's colours on either side. */
export const DIFF_STEPS = 4;

/** Relative change from which each step begins, of the larger share. */
const STEP_FROM = [0, 0.1, 0.25, 0.5];

/** Nodes of the answer that are no functions. */
const NOT_FUNCTIONS = new Set(['total', 'other', '(truncated)', '(damaged)']);

/** Whether a name stands for what was left out, or for everything: it is drawn grey. */
export function isFunction(name: string): boolean {
  return !NOT_FUNCTIONS.has(name);
}

/** Which hue a function has: 0 to {@link HUES} - 1. */
export function hueOf(name: string): number {
  return hashText(packageOf(name)) % HUES;
}

/**
 * How far a share of the whole has changed: 0 where it moved by less than `floor` (a share), else 1 to
 * {@link DIFF_STEPS} for more, negative for less, by the change relative to the larger share.
 */
export function diffStep(base: number, now: number, floor: number): number {
  const change = now - base;
  if (change === 0 || Math.abs(change) < floor) return 0;
  const relative = Math.abs(change) / Math.max(base, now);
  const step = STEP_FROM.filter((from) => relative >= from).length;
  return change > 0 ? step : -step;
}

/** What a function's name has in common with its neighbours: module, package or file. */
function packageOf(name: string): string {
  const path = name.replace(/[(<[].*$/s, '');
  const cut = Math.max(path.lastIndexOf('::'), path.lastIndexOf('/'));
  const dot = path.indexOf('.', cut + 1);
  return path.slice(0, dot > 0 ? dot : cut > 0 ? cut : path.length);
}
