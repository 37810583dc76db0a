import { RANGES, type Span } from './span.ts';

/** All that decides what is on screen; the part of the address behind `#` has it too. */
export interface PageState {
  /** Empty = all services; undefined = choose one. */
  readonly service: string | undefined;
  /** Five-part id; empty = choose one. */
  readonly type: string;
  /** More matchers, without braces: `region="eu"`. */
  readonly filter: string;
  /** A key of RANGES, or a fixed span. */
  readonly range: string | Span;
  readonly view: 'flame' | 'diff';
  /** The selected part, of a diff the comparison; undefined = all, of a diff the second half. */
  readonly span: Span | undefined;
  /** The baseline of a diff; undefined = the first half. */
  readonly base: Span | undefined;
  readonly find: string;
  /** Hash of the path to the node that fills the graph, hex; empty = the root. */
  readonly zoom: string;
  /** Smallest change of a share that is coloured. */
  readonly floor: number;
  readonly sort: 'self' | 'total';
}

/** What a fresh page shows. */
export const FRESH: PageState = {
  service: undefined,
  type: '',
  filter: '',
  range: '1h',
  view: 'flame',
  span: undefined,
  base: undefined,
  find: '',
  zoom: '',
  floor: 0.005,
  sort: 'self',
};

/** The floors that can be chosen, as shares. */
export const FLOORS: readonly number[] = [0.001, 0.005, 0.01, 0.05];

/** The state as the part of an address behind `#`; what is as on a fresh page is left out. */
export function encodeState(state: PageState): string {
  const parameters = new URLSearchParams();
  if (state.service !== undefined) parameters.set('service', state.service);
  for (const key of ['type', 'filter', 'find', 'zoom'] as const) {
    if (state[key] !== '') parameters.set(key, state[key]);
  }
  if (state.range !== FRESH.range) parameters.set('range', textOfRange(state.range));
  if (state.view !== FRESH.view) parameters.set('view', state.view);
  if (state.span !== undefined) parameters.set('span', textOfRange(state.span));
  if (state.base !== undefined) parameters.set('base', textOfRange(state.base));
  if (state.floor !== FRESH.floor) parameters.set('floor', String(state.floor));
  if (state.sort !== FRESH.sort) parameters.set('sort', state.sort);
  return parameters.toString();
}

/** Reads what {@link encodeState} wrote; what does not make sense is as on a fresh page. */
export function decodeState(text: string): PageState {
  const parameters = new URLSearchParams(text.replace(/^#/, ''));
  const get = (key: string): string => parameters.get(key) ?? '';
  const range = get('range');
  const floor = Number(get('floor'));
  return {
    service: parameters.get('service') ?? undefined,
    type: get('type'),
    filter: get('filter'),
    range: Object.hasOwn(RANGES, range) ? range : (spanOfText(range) ?? FRESH.range),
    view: get('view') === 'diff' ? 'diff' : 'flame',
    span: spanOfText(get('span')),
    base: spanOfText(get('base')),
    find: get('find'),
    zoom: /^[0-9a-f]{1,8}$/.test(get('zoom')) ? get('zoom') : '',
    floor: FLOORS.includes(floor) ? floor : FRESH.floor,
    sort: get('sort') === 'total' ? 'total' : 'self',
  };
}

/** The range in Unix ms, as of now. */
export function rangeSpan(range: string | Span, nowMs: number): Span {
  if (typeof range !== 'string') return range;
  return { fromMs: nowMs - (RANGES[range] ?? 3_600_000), toMs: nowMs };
}

/** The selector of PromQL that the state stands for. */
export function selectorOf({ service, filter }: PageState): string {
  const matchers = filter
    .trim()
    .replace(/^\{(.*)\}$/s, '$1')
    .trim();
  const named =
    service === undefined || service === '' ? '' : `service_name=${JSON.stringify(service)}`;
  return `{${[named, matchers].filter((part) => part !== '').join(',')}}`;
}

function textOfRange(range: string | Span): string {
  return typeof range === 'string' ? range : `${range.fromMs}-${range.toMs}`;
}

function spanOfText(text: string): Span | undefined {
  const [, from, to] = /^(\d{1,15})-(\d{1,15})$/.exec(text) ?? [];
  const span = { fromMs: Number(from), toMs: Number(to) };
  return span.fromMs < span.toMs ? span : undefined;
}
