import { element, svg } from './dom.ts';
import { formatMoment } from './format.ts';
import { axisMarks, type Span } from './span.ts';

/** What a timeline is drawn from. */
export interface TimelinePicture {
  readonly whole: Span;
  readonly stepMs: number;
  /** One value for each step of `whole`. */
  readonly values: readonly number[];
  readonly span: Span;
  /** Of a diff its baseline. */
  readonly base: Span | undefined;
  /** Which of the two a drag selects. */
  readonly dragged: 'span' | 'base';
}

/** What the timeline tells the page. */
export interface TimelineEvents {
  selected(which: 'span' | 'base', span: Span): void;
  /** The step under the pointer, undefined for none. */
  pointed(index: number | undefined): void;
}

const HEIGHT = 92;
const WIDTH = 1000;
/** A press that moves less is a click, which selects nothing. */
const DRAG_PIXELS_MIN = 4;
const MARK_PIXELS = 84;

/** Bars over time, with one selected part, or two of a diff. Parts snap to whole steps. */
export class TimelineView {
  readonly #host: HTMLElement;
  readonly #events: TimelineEvents;
  #picture: TimelinePicture | undefined;

  constructor(host: HTMLElement, events: TimelineEvents) {
    this.#host = host;
    this.#events = events;
    new ResizeObserver(() => this.#draw()).observe(host);
    host.addEventListener('pointerdown', (event) => this.#begin(event));
    host.addEventListener('pointermove', (event) => {
      const picture = this.#picture;
      if (picture === undefined) return;
      const index = Math.floor((this.#timeAt(event) - picture.whole.fromMs) / picture.stepMs);
      this.#events.pointed(Math.max(0, Math.min(index, picture.values.length - 1)));
    });
    host.addEventListener('pointerleave', () => this.#events.pointed(undefined));
  }

  /** Draws another picture. */
  show(picture: TimelinePicture): void {
    this.#picture = picture;
    this.#draw();
  }

  #draw(): void {
    const picture = this.#picture;
    if (picture === undefined) return;
    const focused = document.activeElement?.getAttribute('data-edge');
    const { whole, span, base } = picture;
    const layer = element('div', { class: base === undefined ? 'flat' : 'diff' });
    layer.append(barsOf(picture));
    const withDay = new Date(whole.fromMs).toDateString() !== new Date(whole.toMs).toDateString();
    const length = whole.toMs - whole.fromMs;
    for (const at of axisMarks(whole, Math.max(2, this.#host.clientWidth / MARK_PIXELS))) {
      const share = (at - whole.fromMs) / length;
      if (share < 0.03 || share > 0.97) continue;
      const isDay = withDay && length > 2 * 86_400_000;
      const text = isDay ? formatMoment(at, true).slice(5) : formatMoment(at, false);
      const mark = element('span', { class: 'mark' }, text);
      mark.style.left = `${share * 100}%`;
      layer.append(mark);
    }
    if (base !== undefined) layer.append(...this.#part('base', base, whole));
    layer.append(...this.#part('span', span, whole));
    this.#host.replaceChildren(layer);
    if (typeof focused === 'string') {
      this.#host.querySelector<HTMLElement>(`[data-edge="${focused}"]`)?.focus();
    }
  }

  /** The band of a selected part and the handles of its edges. */
  #part(which: 'span' | 'base', part: Span, whole: Span): HTMLElement[] {
    const tone = which === 'base' ? 'tone-base' : 'tone-now';
    const name = which === 'base' ? 'Baseline' : 'Selection';
    const share = (ms: number): string =>
      `${((ms - whole.fromMs) / (whole.toMs - whole.fromMs)) * 100}%`;
    const band = element('div', { class: `band ${tone}` });
    band.style.left = share(part.fromMs);
    band.style.width = `calc(${share(part.toMs)} - ${share(part.fromMs)})`;
    const isAll = part.fromMs === whole.fromMs && part.toMs === whole.toMs;
    const handles = (['fromMs', 'toMs'] as const).map((edge) => {
      const handle = element('button', {
        type: 'button',
        class: `handle ${tone}`,
        role: 'slider',
        'data-edge': `${which}-${edge}`,
        'aria-label': `${name}, ${edge === 'fromMs' ? 'begin' : 'end'}`,
        'aria-valuemin': whole.fromMs,
        'aria-valuemax': whole.toMs,
        'aria-valuenow': part[edge],
        'aria-valuetext': formatMoment(part[edge], true, true),
      });
      handle.style.left = share(part[edge]);
      handle.addEventListener('keydown', (event) => this.#onKey(event, which, edge));
      return handle;
    });
    return isAll ? handles : [band, ...handles];
  }

  #onKey(event: KeyboardEvent, which: 'span' | 'base', edge: keyof Span): void {
    const picture = this.#picture;
    const part = picture?.[which];
    if (picture === undefined || part === undefined) return;
    const step = picture.stepMs * (event.shiftKey ? 10 : 1);
    const moves: Readonly<Record<string, number>> = {
      ArrowLeft: part[edge] - step,
      ArrowDown: part[edge] - step,
      ArrowRight: part[edge] + step,
      ArrowUp: part[edge] + step,
      Home: picture.whole.fromMs,
      End: picture.whole.toMs,
    };
    const to = moves[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.#move(which, edge, part, to);
  }

  /** Moves one edge; the part keeps at least one step. */
  #move(which: 'span' | 'base', edge: keyof Span, part: Span, toMs: number): void {
    const picture = this.#picture;
    if (picture === undefined) return;
    const { whole, stepMs } = picture;
    const [low, high] =
      edge === 'fromMs' ? [whole.fromMs, part.toMs - stepMs] : [part.fromMs + stepMs, whole.toMs];
    const moved = { ...part, [edge]: Math.max(low, Math.min(toMs, high)) };
    if (moved[edge] !== part[edge]) this.#events.selected(which, moved);
  }

  /** Follows a press until it ends: it moves the edge it began on, else it selects a new part. */
  #begin(down: PointerEvent): void {
    const before = this.#picture;
    if (before === undefined || down.button !== 0) return;
    const [which, edge] =
      (down.target instanceof Element ? down.target.getAttribute('data-edge') : null)?.split('-') ??
      [];
    const grabbed = which === 'base' || which === 'span' ? which : undefined;
    const target = grabbed ?? before.dragged;
    const anchor = this.#timeAt(down);
    let chosen: Span | undefined;
    const move = (event: PointerEvent): void => {
      if (chosen === undefined && Math.abs(event.clientX - down.clientX) < DRAG_PIXELS_MIN) return;
      const to = this.#timeAt(event);
      chosen =
        grabbed === undefined
          ? snapped(anchor, to, before)
          : edged(
              before[grabbed] ?? before.span,
              edge === 'fromMs' ? 'fromMs' : 'toMs',
              to,
              before,
            );
      this.show({ ...before, [target]: chosen });
    };
    const end = (event: PointerEvent): void => {
      removeEventListener('pointermove', move);
      removeEventListener('pointerup', end);
      removeEventListener('pointercancel', end);
      if (chosen === undefined) return;
      if (event.type === 'pointercancel') this.show(before);
      else this.#events.selected(target, chosen);
    };
    addEventListener('pointermove', move);
    addEventListener('pointerup', end);
    addEventListener('pointercancel', end);
  }

  #timeAt({ clientX }: PointerEvent): number {
    const picture = this.#picture;
    const { left, width } = this.#host.getBoundingClientRect();
    const { fromMs = 0, toMs = 0 } = picture?.whole ?? {};
    const share = Math.max(0, Math.min(1, (clientX - left) / width));
    return fromMs + share * (toMs - fromMs);
  }
}

/** The steps between two moments, at least one. */
function snapped(a: number, b: number, { whole, stepMs }: TimelinePicture): Span {
  const from = whole.fromMs + Math.floor((Math.min(a, b) - whole.fromMs) / stepMs) * stepMs;
  const to = whole.fromMs + Math.ceil((Math.max(a, b) - whole.fromMs) / stepMs) * stepMs;
  const fromMs = Math.min(from, whole.toMs - stepMs);
  return { fromMs, toMs: Math.max(to, fromMs + stepMs) };
}

function edged(part: Span, edge: keyof Span, at: number, { whole, stepMs }: TimelinePicture): Span {
  const step = whole.fromMs + Math.round((at - whole.fromMs) / stepMs) * stepMs;
  return edge === 'fromMs'
    ? { ...part, fromMs: Math.min(step, part.toMs - stepMs) }
    : { ...part, toMs: Math.max(step, part.fromMs + stepMs) };
}

function barsOf({ whole, stepMs, values, span, base }: TimelinePicture): SVGElement {
  const top = Math.max(...values, 0) || 1;
  const width = WIDTH / Math.max(1, values.length);
  const paths = { off: '', 'on-base': '', 'on-now': '' };
  for (const [i, value] of values.entries()) {
    if (value <= 0) continue;
    const end = whole.fromMs + (i + 1) * stepMs;
    const isIn = (part: Span | undefined): boolean =>
      part !== undefined && end > part.fromMs && end <= part.toMs;
    const height = Math.max(1.5, (value / top) * (HEIGHT - 8));
    const left = (i * width + width * 0.08).toFixed(2);
    paths[isIn(span) ? 'on-now' : isIn(base) ? 'on-base' : 'off'] +=
      `M${left} ${HEIGHT}v-${height.toFixed(1)}h${(width * 0.84).toFixed(2)}v${height.toFixed(1)}z`;
  }
  const line = svg('path', {
    class: 'grid',
    d: `M0 ${HEIGHT}H${WIDTH}`,
    'vector-effect': 'non-scaling-stroke',
  });
  const groups = Object.entries(paths).map(([name, d]) =>
    svg('g', { class: name }, svg('path', { class: 'area', d })),
  );
  return svg(
    'svg',
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', 'aria-hidden': 'true' },
    line,
    ...groups,
  );
}
