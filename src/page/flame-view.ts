import { DIFF_STEPS, diffStep, HUES, hueOf, isFunction } from './colour.ts';
import { element } from './dom.ts';
import { childrenOf, nameOf, nodeCount, type Flame } from './flame.ts';
import { barAt, visitBars, type FlameWindow } from './flame-layout.ts';

/** What a flame graph is drawn from. */
export interface FlamePicture {
  readonly flame: Flame;
  /** The node that fills the width. */
  readonly zoom: number;
  /** By node: 1 where it was searched for; undefined when nothing was. */
  readonly marks: Uint8Array | undefined;
  /** Smallest change of a share that is coloured. */
  readonly floor: number;
}

/** What the graph tells the page. */
export interface FlameEvents {
  zoomed(node: number): void;
  /** The node under the pointer or the keyboard, undefined for none. */
  pointed(node: number | undefined): void;
  /** Fills the tooltip of a node. */
  describe(node: number, into: HTMLElement): void;
}

const ROW = 21;
const FONT = '12px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace';
const LABEL_PIXELS_MIN = 26;
const PADDING = 5;

/** Colours of the style sheet, read once for each scheme. */
interface Palette {
  readonly hues: readonly string[];
  /** From the strongest `less` over grey to the strongest `more`. */
  readonly diff: readonly string[];
  readonly root: string;
  readonly faded: string;
  readonly fadedInk: string;
  readonly ink: string;
  readonly hit: string;
  readonly accent: string;
}

/** A flame graph, root at the top, on a canvas that is as large as what is visible of it. */
export class FlameView {
  readonly #host: HTMLElement;
  readonly #events: FlameEvents;
  readonly #canvas: HTMLCanvasElement;
  readonly #filler: HTMLElement;
  readonly #tip: HTMLElement;
  readonly #context: CanvasRenderingContext2D;
  #picture: FlamePicture | undefined;
  #palette: Palette;
  #hues: Uint8Array = new Uint8Array(0);
  #letter = 7;
  #width = 0;
  #height = 0;
  #hover: number | undefined;
  #cursor: number | undefined;
  #asked = false;

  constructor(host: HTMLElement, events: FlameEvents) {
    this.#host = host;
    this.#events = events;
    this.#canvas = element('canvas', {
      tabindex: 0,
      role: 'application',
      'aria-roledescription': 'flame graph',
      'aria-label':
        'Flame graph. Arrow keys move: up to the caller, down to the largest callee, left and right to neighbours. Enter zooms in, Escape out.',
    });
    this.#filler = element('div');
    this.#tip = element('div', { id: 'tip', role: 'tooltip', hidden: true });
    host.append(this.#canvas, this.#filler);
    document.body.append(this.#tip);
    const context = this.#canvas.getContext('2d', { alpha: false });
    if (context === null) throw new TypeError('this browser has no canvas');
    this.#context = context;
    this.#palette = readPalette();
    this.#listen();
  }

  /** Draws another picture. */
  show(picture: FlamePicture): void {
    const isOther = picture.flame !== this.#picture?.flame;
    this.#picture = picture;
    if (isOther) {
      this.#hues = Uint8Array.from(picture.flame.names, (name) =>
        isFunction(name) ? hueOf(name) : HUES,
      );
      this.#cursor = undefined;
      this.#point(undefined);
    }
    this.#fit();
  }

  #listen(): void {
    const canvas = this.#canvas;
    new ResizeObserver(() => this.#fit()).observe(this.#host);
    this.#host.addEventListener('scroll', () => this.#ask());
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
      this.#palette = readPalette();
      this.#ask();
    });
    canvas.addEventListener('pointermove', (event) => {
      if (event.pointerType === 'touch') return;
      this.#point(this.#nodeAt(event));
      if (this.#hover !== undefined) this.#placeTip(event.clientX, event.clientY);
    });
    canvas.addEventListener('pointerleave', () => this.#point(undefined));
    canvas.addEventListener('click', (event) => {
      const node = this.#nodeAt(event);
      if (node === undefined) return;
      this.#cursor = node;
      this.#events.zoomed(node);
      this.#events.pointed(node);
    });
    canvas.addEventListener('keydown', (event) => this.#onKey(event));
    canvas.addEventListener('blur', () => this.#ask());
    canvas.addEventListener('focus', () => this.#ask());
  }

  #nodeAt(event: MouseEvent): number | undefined {
    const picture = this.#picture;
    if (picture === undefined) return undefined;
    const box = this.#canvas.getBoundingClientRect();
    const depth = Math.floor((event.clientY - box.top + this.#host.scrollTop) / ROW);
    const { from, to } = this.#window(picture);
    return barAt(
      picture.flame,
      depth,
      from + ((event.clientX - box.left) / this.#width) * (to - from),
    );
  }

  #point(node: number | undefined): void {
    if (node === this.#hover) return;
    this.#hover = node;
    this.#tip.hidden = node === undefined;
    if (node !== undefined) {
      this.#tip.replaceChildren();
      this.#events.describe(node, this.#tip);
    }
    this.#canvas.style.cursor = node === undefined ? 'default' : 'pointer';
    this.#events.pointed(node);
    this.#ask();
  }

  #placeTip(x: number, y: number): void {
    const { width, height } = this.#tip.getBoundingClientRect();
    const left = Math.max(8, Math.min(x + 14, innerWidth - width - 8));
    const top = y + 18 + height > innerHeight ? y - height - 12 : y + 18;
    this.#tip.style.left = `${left}px`;
    this.#tip.style.top = `${Math.max(8, top)}px`;
  }

  #onKey(event: KeyboardEvent): void {
    const picture = this.#picture;
    if (picture === undefined || nodeCount(picture.flame) === 0) return;
    const { flame, zoom } = picture;
    const at = this.#cursor ?? zoom;
    if (event.key === 'Enter') this.#events.zoomed(at);
    else if (event.key === 'Escape') this.#events.zoomed(0);
    else {
      const next = nodeBeside(flame, at, event.key);
      if (next === undefined) return;
      this.#cursor = next;
      this.#reveal(next);
      this.#events.pointed(next);
    }
    event.preventDefault();
    this.#ask();
  }

  #reveal(node: number): void {
    const top = (this.#picture?.flame.depth[node] ?? 0) * ROW;
    if (top < this.#host.scrollTop) this.#host.scrollTop = top;
    const below = top + ROW - this.#height;
    if (below > this.#host.scrollTop) this.#host.scrollTop = below;
  }

  #window({ flame, zoom }: FlamePicture): FlameWindow {
    const from = flame.x[zoom] ?? 0;
    const top = this.#host.scrollTop;
    return {
      from,
      to: from + (flame.width[zoom] ?? 1),
      pixels: this.#width,
      firstDepth: Math.floor(top / ROW),
      lastDepth: Math.floor((top + this.#height) / ROW),
    };
  }

  /** Makes the canvas as large as the visible part, in the pixels of the screen. */
  #fit(): void {
    const picture = this.#picture;
    if (picture === undefined) return;
    const rows = (picture.flame.levelStart.length - 1) * ROW;
    const most = Number.parseFloat(getComputedStyle(this.#host).maxHeight) || 560;
    this.#height = Math.min(rows, most);
    this.#filler.style.height = `${Math.max(0, rows - this.#height)}px`;
    this.#canvas.style.height = `${this.#height}px`;
    this.#width = this.#canvas.clientWidth;
    const ratio = devicePixelRatio;
    const width = Math.round(this.#width * ratio);
    const height = Math.round(this.#height * ratio);
    if (this.#canvas.width !== width || this.#canvas.height !== height) {
      this.#canvas.width = width;
      this.#canvas.height = height;
    }
    this.#ask();
  }

  #ask(): void {
    if (this.#asked) return;
    this.#asked = true;
    requestAnimationFrame(() => {
      this.#asked = false;
      if (this.#picture !== undefined) this.#draw(this.#picture);
    });
  }

  #draw(picture: FlamePicture): void {
    performance.mark('flame-begin');
    const { flame, marks } = picture;
    const context = this.#context;
    const scrolled = this.#host.scrollTop;
    context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    context.fillStyle = getComputedStyle(this.#host.parentElement ?? this.#host).backgroundColor;
    context.fillRect(0, 0, this.#width, this.#height);
    context.font = FONT;
    context.textBaseline = 'middle';
    this.#letter = context.measureText('m').width;
    const window = this.#window(picture);
    visitBars(flame, window, (node, left, width) => {
      const top = (flame.depth[node] as number) * ROW - scrolled;
      const isFaded = marks !== undefined && marks[node] === 0;
      context.fillStyle = isFaded ? this.#palette.faded : this.#fill(picture, node);
      // A gap of a pixel tells neighbours apart, where there is room for one.
      context.fillRect(left, top, width > 3 ? width - 1 : width, ROW - 1);
      if (width < LABEL_PIXELS_MIN) return;
      context.fillStyle = isFaded ? this.#palette.fadedInk : this.#palette.ink;
      context.fillText(this.#label(nameOf(flame, node), width), left + PADDING, top + ROW / 2);
    });
    this.#outline(picture, window, this.#hover, 1);
    if (document.activeElement === this.#canvas) this.#outline(picture, window, this.#cursor, 2);
    performance.clearMeasures('flame');
    performance.measure('flame', 'flame-begin');
  }

  #fill({ flame, marks, floor }: FlamePicture, node: number): string {
    const palette = this.#palette;
    const { base, now } = flame;
    if (base !== undefined) {
      const share = (total: Float64Array): number =>
        total[0] === 0 ? 0 : (total[node] as number) / (total[0] as number);
      const step = diffStep(share(base.total), share(now.total), floor);
      return palette.diff[step + DIFF_STEPS] ?? palette.root;
    }
    if (marks?.[node] === 1) return palette.hit;
    return palette.hues[this.#hues[flame.name[node] as number] as number] ?? palette.root;
  }

  /** As much of the name as fits: whole, without its folders, or cut. */
  #label(name: string, width: number): string {
    const letters = Math.floor((width - 2 * PADDING) / this.#letter);
    if (name.length <= letters) return name;
    const short = name.slice(name.lastIndexOf('/') + 1);
    if (short.length <= letters && short !== '') return short;
    return letters < 3 ? '' : `${(short || name).slice(0, letters - 1)}…`;
  }

  #outline(
    picture: FlamePicture,
    window: FlameWindow,
    node: number | undefined,
    thick: number,
  ): void {
    if (node === undefined) return;
    const { flame } = picture;
    const scale = this.#width / (window.to - window.from);
    const left = Math.max(0, ((flame.x[node] as number) - window.from) * scale);
    const end = (flame.x[node] as number) + (flame.width[node] as number);
    const right = Math.min(this.#width, (end - window.from) * scale);
    if (right < left) return;
    const top = (flame.depth[node] as number) * ROW - this.#host.scrollTop;
    this.#context.strokeStyle = this.#palette.accent;
    this.#context.lineWidth = thick;
    const half = thick / 2;
    this.#context.strokeRect(
      left + half,
      top + half,
      Math.max(1, right - left - 1 - thick),
      ROW - 1 - thick,
    );
  }
}

/** The node that a key of the keyboard leads to. */
function nodeBeside(flame: Flame, node: number, key: string): number | undefined {
  const depth = flame.depth[node] as number;
  switch (key) {
    case 'ArrowUp':
      return Math.max(0, flame.parent[node] as number);
    case 'ArrowDown': {
      const [first, end] = childrenOf(flame, node);
      let largest = first;
      for (let at = first; at < end; at++) {
        if ((flame.width[at] as number) > (flame.width[largest] as number)) largest = at;
      }
      return first < end ? largest : node;
    }
    case 'ArrowLeft':
      return Math.max(node - 1, flame.levelStart[depth] as number);
    case 'ArrowRight':
      return Math.min(node + 1, (flame.levelStart[depth + 1] as number) - 1);
    case 'Home':
      return 0;
    default:
      return undefined;
  }
}

function readPalette(): Palette {
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string): string => style.getPropertyValue(`--${name}`).trim();
  const steps = Array.from({ length: DIFF_STEPS }, (_, i) => i + 1);
  return {
    hues: Array.from({ length: HUES }, (_, i) => colour(`hue-${i}`)),
    diff: [
      ...steps.toReversed().map((step) => colour(`less-${step}`)),
      colour('root'),
      ...steps.map((step) => colour(`more-${step}`)),
    ],
    root: colour('root'),
    faded: colour('faded'),
    fadedInk: colour('faded-ink'),
    ink: colour('bar-ink'),
    hit: colour('hit'),
    accent: colour('ink'),
  };
}
