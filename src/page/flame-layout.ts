import type { Flame } from './flame.ts';

/** Which part of a flame graph is on screen. */
export interface FlameWindow {
  /** Left and right edge, as shares of the root. */
  readonly from: number;
  readonly to: number;
  /** Width, CSS pixels. */
  readonly pixels: number;
  /** Depths that are visible, both inclusive. */
  readonly firstDepth: number;
  readonly lastDepth: number;
}

/** Bars narrower than this are drawn only where none was: nobody could tell them apart. */
const BAR_PIXELS_MIN = 0.6;

/**
 * Calls `visit` for each bar to draw, with its left edge and width in pixels, cut to the window.
 * Costs what is visible: hidden bars are skipped by bisection, crowds of slivers become one.
 */
export function visitBars(
  flame: Flame,
  window: FlameWindow,
  visit: (node: number, left: number, width: number) => void,
): void {
  const { from, to, pixels } = window;
  const scale = pixels / (to - from);
  const deepest = Math.min(window.lastDepth, flame.levelStart.length - 2);
  for (let depth = Math.max(0, window.firstDepth); depth <= deepest; depth++) {
    const end = flame.levelStart[depth + 1] as number;
    let drawnTo = -1;
    for (let node = firstBehind(flame, depth, from); node < end; node++) {
      const x = flame.x[node] as number;
      if (x >= to) break;
      const left = Math.max(0, (x - from) * scale);
      const right = Math.min(pixels, (x + (flame.width[node] as number) - from) * scale);
      const width = right - left;
      if (width < BAR_PIXELS_MIN && right < drawnTo + BAR_PIXELS_MIN) continue;
      visit(node, left, Math.max(width, BAR_PIXELS_MIN));
      drawnTo = right;
    }
  }
}

/** The bar of `depth` at a share of the root, undefined where there is none. */
export function barAt(flame: Flame, depth: number, share: number): number | undefined {
  const end = flame.levelStart[depth + 1];
  if (depth < 0 || end === undefined) return undefined;
  const node = firstBehind(flame, depth, share);
  return node < end && (flame.x[node] as number) <= share ? node : undefined;
}

/** The first bar of the depth that ends behind `share`. */
function firstBehind(flame: Flame, depth: number, share: number): number {
  let low = flame.levelStart[depth] as number;
  let high = flame.levelStart[depth + 1] as number;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((flame.x[middle] as number) + (flame.width[middle] as number) <= share) low = middle + 1;
    else high = middle;
  }
  return low;
}
