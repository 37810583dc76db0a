import { ask } from './api.ts';
import { graphCall, selectionOf } from './commands.ts';
import { pathHashes, readFlame, type Flame, type FlameMessage } from './flame.ts';
import { readType } from './format.ts';
import { functionsOf, type FunctionRow } from './functions.ts';
import type { Exactness } from './notes.ts';
import { aligned, halves, stepFor, within, type Span } from './span.ts';
import { rangeSpan, selectorOf, type PageState } from './state.ts';

interface GraphAnswer {
  readonly flamegraph?: FlameMessage;
  readonly exactness?: Exactness;
  readonly mean?: { readonly instants?: string };
}

interface SeriesAnswer {
  readonly lines?: readonly {
    readonly points?: readonly { timeMs: string; sum?: string; profiles?: string; mean?: number }[];
  }[];
}

interface TopAnswer {
  readonly functions?: readonly { name?: string; self?: string; total?: string }[];
  readonly functionCount?: number;
}

/** All that is on screen. */
export interface Shown {
  readonly type: string;
  readonly unit: string;
  readonly whole: Span;
  readonly stepMs: number;
  readonly span: Span;
  readonly base: Span;
  readonly values: readonly number[];
  readonly isDiff: boolean;
  readonly flame: Flame;
  readonly hashes: Uint32Array;
  /** One by the number of instants for states, whose sums over time mean nothing; else 1. */
  readonly scale: number;
  readonly isMean: boolean;
  readonly exactness: Exactness;
  readonly rows: readonly FunctionRow[];
  readonly functionCount: number;
}

/** What can be chosen, and what is. */
export interface Lists {
  readonly services: readonly string[];
  /** Empty = all. */
  readonly service: string;
  readonly types: readonly string[];
  readonly type: string;
}

/** Functions that are asked for: enough that those with the largest totals are among them. */
const FUNCTIONS_MAX = 5000;

/**
 * Asks for everything on screen; chooses a service and a type where the state names none. `shown` is
 * undefined where there is nothing. Rejects as `ask` does.
 */
export async function askAll(
  state: PageState,
  nowMs: number,
  signal: AbortSignal,
): Promise<{ lists: Lists; shown: Shown | undefined }> {
  const range = rangeSpan(state.range, nowMs);
  const stepMs = stepFor(range.toMs - range.fromMs);
  const whole = aligned(range, stepMs);
  const labels = async (name: string, selectors: readonly string[]): Promise<readonly string[]> => {
    const body = { name, selectors, startMs: String(whole.fromMs), endMs: String(whole.toMs) };
    const call = { method: 'tephra.v1.QueryService/Labels', body };
    return (await ask<{ names?: string[] }>(call, signal)).names ?? [];
  };
  const services = await labels('service_name', []);
  // What others run is looked at first, the database itself last.
  const service = state.service ?? services.find((name) => name !== 'tephra') ?? services[0] ?? '';
  const chosen = { ...state, service };
  const types = await labels('__profile_type__', [selectorOf(chosen)]);
  const type = types.includes(state.type) ? state.type : favourite(types);
  const lists = { services, service, types, type };
  const shown = type === '' ? undefined : await askData(chosen, type, whole, stepMs, signal);
  return { lists, shown };
}

async function askData(
  state: PageState,
  type: string,
  whole: Span,
  stepMs: number,
  signal: AbortSignal,
): Promise<Shown> {
  const isDiff = state.view === 'diff';
  const [first, second] = halves(whole, stepMs);
  const span = within(state.span, whole) ?? (isDiff ? second : whole);
  const base = within(state.base, whole) ?? first;
  const selection = selectionOf(state, type, whole);
  const seriesCall = {
    method: 'tephra.v1.QueryService/Series',
    body: { selection, stepMs: String(stepMs) },
  };
  const topCall = {
    method: 'tephra.v1.QueryService/TopFunctions',
    body: { selection: selectionOf(state, type, span), limit: FUNCTIONS_MAX },
  };
  const [series, graph, top] = await Promise.all([
    ask<SeriesAnswer>(seriesCall, signal),
    ask<GraphAnswer>(graphCall(state, type, span, base), signal),
    isDiff ? undefined : ask<TopAnswer>(topCall, signal),
  ]);
  const flame = readFlame(graph.flamegraph ?? {}, isDiff);
  const instants = Number(graph.mean?.instants ?? 0);
  const isMean = instants > 0;
  const rows = top === undefined ? functionsOf(flame) : rowsOf(top);
  return {
    type,
    unit: readType(type).unit,
    whole,
    stepMs,
    span,
    base,
    values: valuesOf(series, whole, stepMs, isMean),
    isDiff,
    flame,
    hashes: pathHashes(flame),
    scale: isMean ? 1 / instants : 1,
    isMean,
    exactness: graph.exactness ?? {},
    rows,
    functionCount: top?.functionCount ?? rows.length,
  };
}

function rowsOf({ functions = [] }: TopAnswer): FunctionRow[] {
  return functions.map(({ name = '', self = 0, total = 0 }) => ({
    name,
    self: Number(self),
    total: Number(total),
    baseSelf: 0,
    baseTotal: 0,
  }));
}

/** One value for each step; a point stands at the end of its step. */
function valuesOf(series: SeriesAnswer, whole: Span, stepMs: number, isMean: boolean): number[] {
  const values = new Array<number>(Math.round((whole.toMs - whole.fromMs) / stepMs)).fill(0);
  for (const point of series.lines?.[0]?.points ?? []) {
    const index = Math.ceil((Number(point.timeMs) - whole.fromMs) / stepMs) - 1;
    if (index >= 0 && index < values.length) {
      values[index] = isMean ? (point.mean ?? 0) : Number(point.sum ?? 0);
    }
  }
  return values;
}

function favourite(types: readonly string[]): string {
  for (const sample of [
    ':cpu:nanoseconds',
    ':wall:nanoseconds',
    ':inuse_space:',
    ':alloc_space:',
  ]) {
    const found = types.find((id) => id.includes(sample));
    if (found !== undefined) return found;
  }
  return types[0] ?? '';
}
