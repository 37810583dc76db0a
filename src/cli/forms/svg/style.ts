import type { CallNode } from '../../tree/call-tree.ts';
import { share } from '../../tree/changes.ts';

/** Colours of boxes by the package of the function, light and dark; text is legible on all of them. */
const PACKAGES = [
  ['#f6cf8b', '#6b4a14'],
  ['#f4b9a0', '#713a26'],
  ['#f3d9a6', '#5c4b25'],
  ['#eec0b2', '#693d35'],
  ['#f5c6a5', '#70431f'],
  ['#e9cf9f', '#5f5322'],
  ['#f0b48c', '#7a4019'],
  ['#e8c8b8', '#5d463c'],
] as const;

/** From less on the right (blue) over no change to more (orange), light and dark. */
const CHANGES = [
  ['#5ea7d6', '#0f6fb3'],
  ['#8dc1e3', '#165c90'],
  ['#b5d6ed', '#1d4a6e'],
  ['#dcebf6', '#233a4d'],
  ['#ffffff', '#2b2f36'],
  ['#fde9d3', '#493722'],
  ['#fdd3a2', '#6b4416'],
  ['#fdb462', '#8f5208'],
  ['#f4922f', '#b36000'],
] as const;

/** Steps of {@link CHANGES} in each direction. */
export const STEPS = 4;
/** A change by this part of the larger share, and more, is one step stronger. */
const STEP_FROM = [0.1, 0.25, 0.5] as const;

/** Widths of a window at which more of the names have room, in pixels. */
const WINDOWS = [400, 600, 800, 1100, 1400, 1900, 2600, 3600] as const;
/** A box shows its name from this width on, in pixels. */
const NAME_WIDTH = 36;

/** Class of a box by its function: functions of one package look alike. */
export function packageClass(name: string): string {
  const owner = name.replace(/[.:/#\\][^.:/#\\]*$/, '') || name;
  let hash = 2_166_136_261;
  for (let i = 0; i < owner.length && i < 256; i++) {
    hash = Math.imul(hash ^ owner.charCodeAt(i), 16_777_619) >>> 0;
  }
  return `p${hash % PACKAGES.length}`;
}

/** Class of a box by the change of its share; below `floor` it has no colour. */
export function changeClass(node: CallNode, root: CallNode, floor: number): string {
  const [left, right] = [share(node.baseTotal, root.baseTotal), share(node.total, root.total)];
  const change = right - left;
  if (Math.abs(change) < floor) return `d${STEPS}`;
  const ratio = Math.abs(change) / Math.max(Math.abs(left), Math.abs(right));
  const step = 1 + STEP_FROM.filter((from) => ratio >= from).length;
  return `d${change < 0 ? STEPS - step : STEPS + step}`;
}

/** Class that hides the name of a box where the window is too small; undefined = no window is wide enough. */
export function nameClass(width: number): string | undefined {
  const index = WINDOWS.findIndex((window) => width * window >= NAME_WIDTH);
  return index < 0 ? undefined : `w${index}`;
}

/** Parts of a path before the last one: `cmd/compile/internal/` of `cmd/compile/internal/ssa.Compile`. */
const PATH = /^(?:[\w.@~-]+\/)+(?=[^/\s][^/]*$)/;

/** What a box of this width calls its function: where there is little room, without the path. */
export function boxName(name: string, width: number): string {
  return width >= FULL_NAME_FROM ? name : name.replace(PATH, '');
}

/** Part of the width from which a box has room for whole names. */
const FULL_NAME_FROM = 0.25;

/** The style sheet: everything is inside the file, and it follows the reader's light or dark. */
export function styleSheet(isDiff: boolean): string {
  const boxes: readonly (readonly [string, string])[] = isDiff ? CHANGES : PACKAGES;
  const letter = isDiff ? 'd' : 'p';
  const fills = (theme: 0 | 1): string =>
    boxes.map((colors, index) => `.${letter}${index}{fill:${colors[theme]}}`).join('');
  const hidden = WINDOWS.slice(0, -1)
    .map((window, index) => `@media(max-width:${window - 0.02}px){.w${index + 1}{display:none}}`)
    .join('');
  const line = isDiff ? ['#c4ccd4', '#4a5059'] : ['#ffffff', '#16191d'];
  return (
    'text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;fill:#1b1f24}' +
    `.root{background:#ffffff}.bg{fill:#ffffff}.t{font-weight:600;font-size:14px}.m{fill:#59636e}.b{stroke:${line[0]}}` +
    `.f:hover .b{stroke:#1b1f24}${fills(0)}.r{fill:#dfe4ea}${hidden}` +
    `@media(prefers-color-scheme:dark){text{fill:#e6e9ed}.root{background:#16191d}.bg{fill:#16191d}.m{fill:#9aa4af}` +
    `.b{stroke:${line[1]}}.f:hover .b{stroke:#e6e9ed}${fills(1)}.r{fill:#3a4048}}`
  );
}
