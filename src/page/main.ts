import { ApiError, ask, serverUrl } from './api.ts';
import { DIFF_STEPS } from './colour.ts';
import { cliCommand, curlCommand, graphCall } from './commands.ts';
import { byId, element, fillSelect, ofKind, onChoice, press } from './dom.ts';
import { nameOf } from './flame.ts';
import { factsOf } from './facts.ts';
import { FlameView } from './flame-view.ts';
import { formatMoment, formatShare, formatSpan, formatValue, readType } from './format.ts';
import { markedValue, nodesNamed } from './functions.ts';
import { askAll, type Lists, type Shown } from './load.ts';
import { notesOf } from './notes.ts';
import type { Span } from './span.ts';
import { decodeState, encodeState, FLOORS, type PageState } from './state.ts';
import { TimelineView } from './timeline-view.ts';
import { showTop } from './top-view.ts';

/** How often an empty page asks whether something has come. */
const EMPTY_POLL_MS = 4000;
const SAY_COPIED_MS = 1500;

let state = decodeState(location.hash);
let shown: Shown | undefined;
let loading = new AbortController();
let dragged: 'span' | 'base' = 'span';
let tool: 'cli' | 'curl' = 'cli';
let poll: ReturnType<typeof setTimeout> | undefined;

const timeline = new TimelineView(byId('timeline'), {
  selected(which, span) {
    // A part is of this range: a later "last hour" would not have it.
    if (shown !== undefined) change({ range: shown.whole, [which]: span, zoom: '' });
  },
  pointed: showScale,
});

const flameView = new FlameView(byId('flame'), {
  zoomed(node) {
    const hash = node === 0 ? '' : (shown?.hashes[node] ?? 0).toString(16);
    change({ zoom: hash }, false);
  },
  pointed: showStatus,
  describe,
});

/** Changes the state, its address and the screen. `isNew`: the server has to be asked. */
function change(part: Partial<PageState>, isNew = true): void {
  state = { ...state, ...part };
  const address = `#${encodeState(state)}`;
  if (isNew) history.pushState(undefined, '', address);
  else history.replaceState(undefined, '', address);
  if (isNew) void load();
  else draw();
}

async function load(): Promise<void> {
  clearTimeout(poll);
  loading.abort();
  loading = new AbortController();
  const { signal } = loading;
  document.body.classList.add('busy');
  showControls();
  try {
    const { lists, shown: answer } = await askAll(state, Date.now(), signal);
    if (signal.aborted) return;
    // Nothing is chosen for good as long as there is nothing to choose.
    if (answer !== undefined) state = { ...state, service: lists.service, type: lists.type };
    showLists(lists);
    byId('trouble').hidden = true;
    shown = answer;
    if (answer === undefined) await showNothing(signal);
    else draw();
  } catch (error) {
    if (!signal.aborted) showTrouble(error);
  } finally {
    if (!signal.aborted) {
      document.body.classList.remove('busy');
      byId('loading').hidden = true;
    }
  }
}

function showLists({ services, service, types, type }: Lists): void {
  // Without an answer the chosen one stays to be seen.
  const named = services.includes(service) || service === '' ? services : [service, ...services];
  const options = named.map((name) => [name, name] as const);
  fillSelect(ofKind('service', HTMLSelectElement), [...options, ['', 'All services']], service);
  fillSelect(
    ofKind('type', HTMLSelectElement),
    types.map((id) => [id, readType(id).label] as const),
    type,
  );
}

/** Says why there is nothing, and what to do. */
async function showNothing(signal: AbortSignal): Promise<void> {
  const stats = await ask<{ dataIngested?: boolean; newestProfileTime?: string }>(
    { method: 'querier.v1.QuerierService/GetProfileStats', body: {} },
    signal,
  );
  if (signal.aborted) return;
  const isFresh = stats.dataIngested !== true;
  const newestMs = Number(stats.newestProfileTime ?? 0);
  byId('empty-title').textContent = isFresh ? 'No profiles yet' : 'Nothing in this range';
  byId('empty-text').textContent = isFresh
    ? 'Send one, or point any Pyroscope agent at this address. The page shows it as soon as it is here.'
    : `No profile matches. The newest one stored is of ${formatMoment(newestMs, true, true)}.`;
  byId('empty-command').hidden = !isFresh;
  byId('empty-command').textContent =
    `tephra push cpu.pb.gz --service shop --server ${serverUrl()}\n\n` +
    `curl -g --data-binary @cpu.pb.gz \\\n  '${serverUrl()}/ingest?format=pprof&name=shop'`;
  const button = element('button', { type: 'button', class: 'plain' });
  button.hidden = isFresh;
  button.textContent = 'Show the hour up to it';
  button.addEventListener('click', () =>
    change({
      range: { fromMs: newestMs - 3_600_000, toMs: newestMs + 1000 },
      span: undefined,
      base: undefined,
      service: undefined,
      type: '',
      filter: '',
    }),
  );
  byId('empty-do').replaceChildren(button);
  byId('empty').hidden = false;
  byId('shown').hidden = true;
  if (typeof state.range === 'string') poll = setTimeout(() => void load(), EMPTY_POLL_MS);
}

function showTrouble(error: unknown): void {
  const trouble = byId('trouble');
  const text = error instanceof ApiError ? error.message : `This page failed: ${String(error)}`;
  const again = element('button', { type: 'button', class: 'plain' }, 'Try again');
  again.addEventListener('click', () => void load());
  trouble.replaceChildren(`${text} `, again);
  trouble.hidden = false;
}

/** What can be shown without an answer. */
function showControls(): void {
  const isNamed = typeof state.range === 'string';
  press(byId('range'), typeof state.range === 'string' ? state.range : 'custom');
  press(byId('view'), state.view);
  press(byId('side'), dragged);
  byId('custom').hidden = isNamed;
  if (typeof state.range !== 'string') fillCustom(state.range);
  ofKind('filter', HTMLInputElement).value = state.filter;
  ofKind('find', HTMLInputElement).value = state.find;
  ofKind('floor', HTMLSelectElement).value = String(state.floor);
}

function fillCustom({ fromMs, toMs }: Span): void {
  ofKind('from', HTMLInputElement).value = formatMoment(fromMs, true, true).replace(' ', 'T');
  ofKind('to', HTMLInputElement).value = formatMoment(toMs, true, true).replace(' ', 'T');
}

function draw(): void {
  showControls();
  if (shown === undefined) return;
  const { flame, isDiff, span, base, whole, stepMs, values, unit } = shown;
  document.title = `${state.service === '' ? 'All services' : state.service} · Tephra`;
  byId('empty').hidden = true;
  byId('shown').hidden = false;
  byId('side').hidden = !isDiff;
  byId('legend').hidden = !isDiff;
  byId('whole').hidden = state.span === undefined && state.base === undefined;
  timeline.show({ whole, stepMs, values, span, base: isDiff ? base : undefined, dragged });
  showScale(undefined);
  showSummary(shown);
  showNotes(shown);
  const marks = nodesNamed(flame, state.find);
  const zoom =
    state.zoom === '' ? 0 : Math.max(0, shown.hashes.indexOf(Number.parseInt(state.zoom, 16)));
  flameView.show({ flame, zoom, marks, floor: state.floor });
  byId('unzoom').hidden = zoom === 0;
  const total = flame.now.total[0] ?? 0;
  byId('found').textContent =
    marks === undefined
      ? ''
      : `${formatShare(total === 0 ? 0 : markedValue(flame, marks, flame.now) / total)} of all`;
  showStatus(undefined);
  showTop(
    ofKind('top', HTMLTableElement),
    {
      rows: shown.rows,
      isDiff,
      unit,
      scale: shown.scale,
      total,
      baseTotal: flame.base?.total[0] ?? 0,
      floor: state.floor,
      sort: state.sort,
      find: state.find,
    },
    {
      name: (name) => change({ find: state.find === name ? '' : name }, false),
      sort: (sort) => change({ sort }, false),
    },
  );
  byId('top-rest').textContent = shown.functionCount > 100 ? `100 of ${shown.functionCount}` : '';
  showCommand();
}

function showScale(index: number | undefined): void {
  if (shown === undefined) return;
  const { whole, stepMs, values, unit, isMean } = shown;
  const what = isMean ? 'mean of a profile' : `sum of ${formatSpan(stepMs)}`;
  if (index === undefined) {
    byId('time-scale').textContent = `${what}, up to ${formatValue(Math.max(...values, 0), unit)}`;
    return;
  }
  const end = formatMoment(whole.fromMs + (index + 1) * stepMs, false, true);
  byId('time-scale').textContent = `${what} until ${end}: ${formatValue(values[index] ?? 0, unit)}`;
}

function showSummary({
  flame,
  span,
  base,
  unit,
  isDiff,
  scale,
  isMean,
  exactness,
  type,
}: Shown): void {
  const part = (name: string, which: Span, value: number): HTMLElement => {
    const withDay = new Date(which.fromMs).toDateString() !== new Date().toDateString();
    const time = `${formatMoment(which.fromMs, withDay)} – ${formatMoment(which.toMs, false)}`;
    const line = element('span', {}, element('b', {}, formatValue(value * scale, unit)));
    const length = which.toMs - which.fromMs;
    const cores = /:cpu:nanoseconds:/.test(type)
      ? `, ${trimCores(value / 1e6 / length)} cores`
      : '';
    line.append(`${isMean ? ' on average' : ''} in ${formatSpan(length)}${cores}, ${time}`);
    if (isDiff) line.prepend(element('i', { class: name === 'base' ? 'dot base' : 'dot' }));
    return line;
  };
  const parts: (Node | string)[] = [];
  if (isDiff) parts.push(part('base', base, flame.base?.total[0] ?? 0));
  parts.push(part('now', span, flame.now.total[0] ?? 0));
  const profiles = Number(exactness.profiles ?? 0);
  const count = `${profiles.toLocaleString('en')} ${profiles === 1 ? 'profile' : 'profiles'}`;
  parts.push(
    element(
      'span',
      { class: 'quiet' },
      `${count}, ${exactness.exact === true ? 'exact' : 'not exact'}`,
    ),
  );
  byId('summary').replaceChildren(...parts);
}

function trimCores(cores: number): string {
  return cores >= 10 ? cores.toFixed(0) : cores >= 1 ? cores.toFixed(1) : cores.toPrecision(2);
}

function showNotes({ exactness, unit, isMean }: Shown): void {
  const notes = notesOf(exactness, unit);
  if (isMean) {
    notes.push('Values are means over time: this type is a state, and sums of it mean nothing.');
  }
  const tone = exactness.exact === true ? 'fine' : 'inexact';
  byId('notes').replaceChildren(...notes.map((note) => element('li', { class: tone }, note)));
}

function showStatus(node: number | undefined): void {
  const status = byId('status');
  if (shown === undefined || node === undefined) {
    const compared = 'Widths are shares of each side’s total, so ranges of any length compare. ';
    const keys = 'Click a bar to zoom in; arrow keys, Enter and Escape do the same.';
    status.textContent = shown?.isDiff === true ? compared + keys : keys;
    return;
  }
  const facts = factsOf(shown, node).map(([what, fact]) => `${what} ${fact}`);
  status.textContent = `${nameOf(shown.flame, node)}: ${facts.join(', ')}`;
}

function describe(node: number, into: HTMLElement): void {
  if (shown === undefined) return;
  const rows = factsOf(shown, node).map(([what, fact]) =>
    element('tr', {}, element('td', {}, what), element('td', {}, fact)),
  );
  into.append(element('b', {}, nameOf(shown.flame, node)), element('table', {}, ...rows));
}

function showCommand(): void {
  if (shown === undefined) return;
  const { type, span, base } = shown;
  press(byId('tool'), tool);
  byId('command').textContent =
    tool === 'cli'
      ? cliCommand(state, type, span, base, serverUrl())
      : curlCommand(graphCall(state, type, span, base), serverUrl());
}

async function copy(): Promise<void> {
  const button = byId('copy');
  const text = byId('command').textContent ?? '';
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = 'Copied';
  } catch {
    // Only pages by TLS or from this machine may: the reader can still copy what is marked.
    getSelection()?.selectAllChildren(byId('command'));
    button.textContent = 'Marked';
  }
  setTimeout(() => (button.textContent = 'Copy'), SAY_COPIED_MS);
}

function listen(): void {
  const none = { span: undefined, base: undefined, zoom: '' };
  byId('service').addEventListener('change', () =>
    change({ service: ofKind('service', HTMLSelectElement).value, zoom: '', find: '' }),
  );
  byId('type').addEventListener('change', () =>
    change({ type: ofKind('type', HTMLSelectElement).value, zoom: '' }),
  );
  byId('filter').addEventListener('change', () =>
    change({ filter: ofKind('filter', HTMLInputElement).value.trim(), zoom: '' }),
  );
  onChoice(byId('range'), (value) => {
    if (value !== 'custom') return change({ range: value, ...none });
    byId('custom').hidden = false;
    if (shown !== undefined) fillCustom(shown.whole);
    byId('from').focus();
  });
  byId('custom').addEventListener('submit', (event) => {
    event.preventDefault();
    const fromMs = Date.parse(ofKind('from', HTMLInputElement).value);
    const toMs = Date.parse(ofKind('to', HTMLInputElement).value);
    if (fromMs < toMs) change({ range: { fromMs, toMs }, ...none });
    else showTrouble(new ApiError('The end of the range is not after its begin.'));
  });
  byId('refresh').addEventListener('click', () => void load());
  byId('whole').addEventListener('click', () => change(none));
  onChoice(byId('view'), (value) => {
    dragged = 'span';
    change({
      view: value === 'diff' ? 'diff' : 'flame',
      span: undefined,
      base: undefined,
      zoom: '',
    });
  });
  onChoice(byId('side'), (value) => {
    dragged = value === 'base' ? 'base' : 'span';
    draw();
  });
  onChoice(byId('tool'), (value) => {
    tool = value === 'curl' ? 'curl' : 'cli';
    showCommand();
  });
  byId('find').addEventListener('input', () =>
    change({ find: ofKind('find', HTMLInputElement).value.trim() }, false),
  );
  byId('floor').addEventListener('change', () =>
    change({ floor: Number(ofKind('floor', HTMLSelectElement).value) }, false),
  );
  byId('unzoom').addEventListener('click', () => change({ zoom: '' }, false));
  byId('copy').addEventListener('click', () => void copy());
  addEventListener('popstate', () => {
    state = decodeState(location.hash);
    void load();
  });
}

fillSelect(
  ofKind('floor', HTMLSelectElement),
  FLOORS.map((floor) => [String(floor), formatShare(floor)] as const),
  String(state.floor),
);
for (let step = -DIFF_STEPS; step <= DIFF_STEPS; step++) {
  const swatch = element('i');
  const name = step === 0 ? 'root' : `${step < 0 ? 'less' : 'more'}-${Math.abs(step)}`;
  swatch.style.background = `var(--${name})`;
  byId('swatches').append(swatch);
}
listen();
void load();
