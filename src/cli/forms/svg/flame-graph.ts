import { counted } from '../../counted.ts';
import { printable, shortened } from '../../printable.ts';
import type { CallNode } from '../../tree/call-tree.ts';
import { share } from '../../tree/changes.ts';
import { formatPoints, formatShare, formatSigned, formatValue } from '../units.ts';
import { layOut, type Box } from './layout.ts';
import { boxName, changeClass, nameClass, packageClass, STEPS, styleSheet } from './style.ts';

/** What stands in the picture besides the tree. */
export interface PictureOptions {
  readonly unit: string;
  readonly title: string;
  /** Roots at the top (icicle) or at the bottom (flame). */
  readonly layout: 'icicle' | 'flame';
  /** Of a diff: what the sides are, and the part of the whole from which a change has a colour. */
  readonly diff?: { readonly left: string; readonly right: string; readonly floor: number };
}

const ROW = 19;
const PAD = 8;
/** Characters of a name in its box, in its tooltip, and in the title. */
const NAME_MAX = 300;
const TOOLTIP_MAX = 2_000;
const TITLE_MAX = 300;

/**
 * A flame graph as one SVG file without scripts: tooltips are `<title>` elements, and every place is in
 * percent, so that it fills the window while its text stays as large as it is.
 */
export function* flameGraphSvg(root: CallNode, options: PictureOptions): Generator<string> {
  const { diff } = options;
  const { boxes, rows, left } = layOut(root);
  const top = diff === undefined ? 48 : 94;
  const height = top + rows * ROW + (left > 0 ? 24 : PAD);
  yield `<svg xmlns="http://www.w3.org/2000/svg" width="100%" height="${height}" class="root" role="img">\n`;
  yield `<title>${escaped(options.title, TITLE_MAX)}</title>\n`;
  yield `<style>${styleSheet(diff !== undefined)}</style>\n`;
  yield `<rect class="bg" width="100%" height="100%"/>\n`;
  yield text(PAD, 20, options.title, 't');
  if (diff === undefined) {
    yield text(PAD, 38, `total ${formatValue(root.total, options.unit)}`, 'm');
  } else {
    yield* legend(root, diff, options.unit);
  }
  for (const box of boxes) yield boxText(box, root, top, rows, options);
  if (left > 0) {
    const what = counted(left, 'function is', 'functions are');
    yield text(PAD, top + rows * ROW + 15, `${what} too narrow or too deep to be drawn`, 'm');
  }
  yield '</svg>\n';
}

function* legend(
  root: CallNode,
  diff: NonNullable<PictureOptions['diff']>,
  unit: string,
): Generator<string> {
  const change = formatSigned(root.total - root.baseTotal, unit);
  yield text(PAD, 38, `left ${formatValue(root.baseTotal, unit)}: ${diff.left}`, 'm');
  yield text(PAD, 54, `right ${formatValue(root.total, unit)} (${change}): ${diff.right}`, 'm');
  yield text(PAD, 76, 'less on the right', 'm');
  const from = PAD + 106;
  const size = 14;
  for (let step = 0; step <= 2 * STEPS; step++) {
    yield `<rect class="b d${step}" x="${from + step * size}" y="65" width="${size}" height="${size}"/>`;
  }
  const floor = `${Number((diff.floor * 100).toPrecision(3))}%`;
  yield text(
    from + (2 * STEPS + 1) * size + 6,
    76,
    `more; no colour: changed by less than ${floor} of the total`,
    'm',
  );
}

function boxText(
  { node, depth, x, width }: Box,
  root: CallNode,
  top: number,
  rows: number,
  { unit, layout, diff }: PictureOptions,
): string {
  const row = layout === 'icicle' ? depth : rows - 1 - depth;
  const fill =
    diff === undefined
      ? depth === 0
        ? 'r'
        : packageClass(node.name)
      : changeClass(node, root, diff.floor);
  const show = nameClass(width);
  const name =
    show === undefined
      ? ''
      : `<text class="${show}" x="4" y="13">${escaped(boxName(node.name, width), NAME_MAX)}</text>`;
  return (
    `<svg class="f" x="${percent(x)}" y="${top + row * ROW}" width="${percent(width)}" height="${ROW}">` +
    `<title>${tooltip(node, root, unit, diff !== undefined)}</title>` +
    `<rect class="b ${fill}" width="100%" height="${ROW - 1}"/>${name}</svg>\n`
  );
}

function tooltip(node: CallNode, root: CallNode, unit: string, isDiff: boolean): string {
  const name = escaped(node.name, TOOLTIP_MAX);
  const value = (amount: bigint, whole: bigint): string =>
    `${formatValue(amount, unit)} (${formatShare(amount, whole)})`;
  if (!isDiff) {
    return `${name}\ntotal ${value(node.total, root.total)}\nself ${value(node.self, root.total)}`;
  }
  const points = share(node.total, root.total) - share(node.baseTotal, root.baseTotal);
  const line = (what: string, left: bigint, right: bigint): string =>
    `${what}: ${value(left, root.baseTotal)}, then ${value(right, root.total)}, ${formatSigned(right - left, unit)}`;
  return (
    `${name}\n${line('total', node.baseTotal, node.total)}, ${formatPoints(points)} of the total\n` +
    line('self', node.baseSelf, node.self)
  );
}

function text(x: number, y: number, content: string, kind: string): string {
  return `<text class="${kind}" x="${x}" y="${y}">${escaped(content, TITLE_MAX)}</text>\n`;
}

function percent(part: number): string {
  return `${Number((part * 100).toFixed(4))}%`;
}

/** Names as XML: characters that XML 1.0 has no place for are shown as their numbers. */
function escaped(name: string, length: number): string {
  return printable(shortened(name, length))
    .replaceAll(/[\uFFFE\uFFFF]/g, (character) => `\\u{${character.charCodeAt(0).toString(16)}}`)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;');
}
