/** Random questions to an engine; each answer is compared with the reference. */
import type { ShardedEngine } from '../../src/shards/sharded-engine.ts';
import { readDiff, readFlameGraph, readPprof } from './answers.ts';
import type { Dice } from './dice.ts';
import { same, sameStacks } from './difference.ts';
import { makeMatchers, PROFILE_TYPES, TENANTS, type SentPush } from './generate.ts';
import { selectorText, type ModelLabels, type ModelMerge, type Reference } from './reference.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** Who is asked, and about what. */
export interface Asked {
  readonly reference: Reference;
  /** All acknowledged pushes. */
  readonly sent: readonly SentPush[];
  /** Ranges never cut a minute: the raw tier may be gone. */
  readonly wholeMinutes: boolean;
  engine(): ShardedEngine;
  nowMs(): number;
  /** Takes down what is asked. */
  note(question: string): void;
}

/** Makes up questions about the pushes of one history. */
export class Questions {
  readonly #dice: Dice;
  readonly #asked: Asked;

  constructor(dice: Dice, asked: Asked) {
    this.#dice = dice;
    this.#asked = asked;
  }

  /** Asks something at random. */
  async ask(): Promise<void> {
    switch (this.#dice.weighted({ names: 34, frames: 18, diff: 14, series: 18, labels: 16 })) {
      case 'names':
        return this.#askNames(this.#merge());
      case 'frames':
        return this.#askFrames(this.#merge());
      case 'diff':
        return this.#askDiff(this.#merge(), this.#merge());
      case 'series':
        return this.#askSeries(this.#merge());
      case 'labels':
        return this.#askLabels();
    }
  }

  /** Everything of each type: with it the stack that each push has of its own. */
  async askEverything(): Promise<void> {
    for (const tenant of TENANTS) {
      const range = {
        tenant,
        startMs: this.#asked.nowMs() - 4 * DAY_MS,
        endMs: this.#asked.nowMs() + DAY_MS,
      };
      for (const profileType of PROFILE_TYPES) {
        const merge = { ...range, matchers: [], profileType };
        await this.#askNames(merge);
        if (this.#dice.chance(30)) await this.#askFrames(merge);
      }
      await this.#checkLabels({ ...range, selectors: [] }, 'all');
    }
    if (this.#asked.wholeMinutes) return;
    for (const { model } of this.#asked.sent.slice(-3)) await this.#askNames(this.#exactly(model));
  }

  #merge(): ModelMerge {
    const dice = this.#dice;
    const push = this.#someSent();
    const base = {
      tenant: push?.model.tenant ?? TENANTS[0],
      matchers: makeMatchers(dice),
      profileType: push === undefined ? dice.pick(PROFILE_TYPES) : typeOf(push, dice),
    };
    return { ...base, ...this.#range(push) };
  }

  /** Often one at the border of a minute: where off by one shows. */
  #someSent(): SentPush | undefined {
    const dice = this.#dice;
    if (this.#asked.sent.length === 0 || dice.chance(10)) return undefined;
    if (dice.chance(60)) return dice.pick(this.#asked.sent);
    const border = this.#asked.sent.filter(({ model }) => (model.startMs + 1) % MINUTE_MS <= 1);
    return dice.pick(border.length > 0 ? border : this.#asked.sent);
  }

  #exactly(push: SentPush['model']): ModelMerge {
    const { tenant, startMs } = push;
    const profileType = typeOf({ model: push }, this.#dice);
    return { tenant, matchers: [], profileType, startMs, endMs: startMs };
  }

  #range(push: SentPush | undefined): { startMs: number; endMs: number } {
    const dice = this.#dice;
    const nearMs = push?.model.startMs ?? this.#asked.nowMs();
    const kind = dice.weighted({ all: 18, exact: 10, edges: 34, minutes: 20, hours: 18 });
    const nowMs = this.#asked.nowMs();
    if (kind === 'all') return { startMs: nowMs - 4 * DAY_MS, endMs: nowMs + DAY_MS };
    if (kind === 'minutes' || this.#asked.wholeMinutes) {
      const startMs = Math.floor(nearMs / MINUTE_MS) * MINUTE_MS - dice.whole(0, 3) * MINUTE_MS;
      return { startMs, endMs: startMs + dice.whole(1, 120) * MINUTE_MS - 1 };
    }
    if (kind === 'hours') {
      const startMs = Math.floor(nearMs / HOUR_MS) * HOUR_MS - dice.whole(0, 5) * HOUR_MS;
      return { startMs, endMs: startMs + dice.whole(1, 30) * HOUR_MS - 1 };
    }
    if (kind === 'exact') return { startMs: nearMs, endMs: nearMs };
    // Another push's start, one ms off or not: inclusive ends show.
    const other = this.#asked.sent.length > 0 ? dice.pick(this.#asked.sent).model.startMs : nearMs;
    const [a, b] = [nearMs + dice.whole(-1, 1), other + dice.whole(-1, 1)];
    return { startMs: Math.min(a, b), endMs: Math.max(a, b) };
  }

  async #askNames(merge: ModelMerge): Promise<void> {
    const expected = this.#asked.reference.mergeNames(merge);
    const what = this.#asking('flame graph', merge);
    const { bytes, notes } = await this.#asked.engine().flameGraph(requestOf(merge));
    sameStacks(what, readFlameGraph(bytes), expected, notes);
  }

  async #askFrames(merge: ModelMerge): Promise<void> {
    const expected = this.#asked.reference.mergeFrames(merge);
    const what = this.#asking('pprof', merge);
    const { bytes, notes } = await this.#asked.engine().pprof(requestOf(merge));
    sameStacks(what, readPprof(bytes), expected, notes);
  }

  async #askDiff(left: ModelMerge, other: ModelMerge): Promise<void> {
    const right = { ...other, tenant: left.tenant, profileType: left.profileType };
    const expectedLeft = this.#asked.reference.mergeNames(left);
    const expectedRight = this.#asked.reference.mergeNames(right);
    const what = `${this.#asking('diff', left)} against ${mergeText(right)}`;
    const { bytes, notes } = await this.#asked.engine().diff({
      left: requestOf(left),
      right: requestOf(right),
    });
    const answer = readDiff(bytes);
    sameStacks(`${what}, left`, answer.left, expectedLeft, notes);
    sameStacks(`${what}, right`, answer.right, expectedRight, notes);
  }

  async #askSeries(merge: ModelMerge): Promise<void> {
    const dice = this.#dice;
    const spanMs = merge.endMs - merge.startMs;
    const stepMs = Math.max(
      dice.pick([1_000, 15_000, 37_001, 60_000, 600_000, HOUR_MS]),
      Math.ceil(spanMs / 500),
    );
    const series = {
      ...merge,
      stepMs,
      groupBy: dice.pick([[], ['service_name'], ['env', 'pod'], ['thread'], ['__type__', 'env']]),
      aggregation: dice.pick(['sum', 'average'] as const),
    };
    const expected = this.#asked.reference.series(series);
    const what = `${this.#asking('series', merge)} step ${stepMs} by ${series.groupBy.join()}`;
    const { matchers: _, ...rest } = series;
    const answers = await this.#asked.engine().selectSeries({
      ...rest,
      selector: selectorText(merge.matchers),
    });
    const actual = new Map(
      answers.map(({ labels, points }) => [
        JSON.stringify(labels),
        new Map(points.map(({ timestampMs, value }) => [timestampMs, value])),
      ]),
    );
    same(what, rows(actual), rows(expected));
  }

  async #askLabels(): Promise<void> {
    const dice = this.#dice;
    const push = this.#someSent();
    const selectors = Array.from({ length: dice.pick([0, 1, 1, 2]) }, () => makeMatchers(dice));
    const tenant = push?.model.tenant ?? TENANTS[0];
    const kind = dice.pick(['types', 'names', 'values', 'series'] as const);
    await this.#checkLabels({ tenant, selectors, ...this.#range(push) }, kind);
  }

  async #checkLabels(
    labels: ModelLabels,
    kind: 'types' | 'names' | 'values' | 'series' | 'all',
  ): Promise<void> {
    const { tenant, startMs, endMs } = labels;
    const request = { tenant, startMs, endMs, selectors: labels.selectors.map(selectorText) };
    const sets = this.#asked.reference.labelSets(labels);
    const what = this.#asking(`labels (${kind})`, labels) + request.selectors.join(' or ');
    const name = this.#dice.pick(['service_name', 'env', 'pod', 'thread', '__type__', 'missing']);
    const group = this.#dice.pick([['service_name', '__profile_type__'], ['pod'], []]);
    if (kind === 'types' || kind === 'all') {
      const expected = sorted(sets.map((set) => set.get('__profile_type__') ?? ''));
      same(what, [...(await this.#asked.engine().profileTypes(request))], expected);
    }
    if (kind === 'names' || kind === 'all') {
      const expected = sorted(sets.flatMap((set) => [...set.keys()]));
      same(what, [...(await this.#asked.engine().labelNames(request))], expected);
    }
    if (kind === 'values' || kind === 'all') {
      const expected = sorted(
        sets.map((set) => set.get(name) ?? '').filter((value) => value !== ''),
      );
      same(
        `${what} of ${name}`,
        [...(await this.#asked.engine().labelValues(request, name))],
        expected,
      );
    }
    if (kind === 'series' || kind === 'all') {
      const projected = sets.map((set) => {
        const pairs = [...set].filter(([key]) => group.length === 0 || group.includes(key));
        return pairs.filter(([, value]) => value !== '').sort(([a], [b]) => (a < b ? -1 : 1));
      });
      const expected = projected.filter((pairs) => pairs.length > 0).map((p) => JSON.stringify(p));
      const answer = (await this.#asked.engine().series(request, group)).map((set) =>
        JSON.stringify(set),
      );
      same(`${what} by ${group.join()}`, answer.toSorted(), sorted(expected));
    }
  }

  #asking(what: string, merge: { startMs: number; endMs: number; tenant: string }): string {
    const text = `${what} ${mergeText(merge)}`;
    this.#asked.note(text);
    return text;
  }
}

function requestOf({ matchers, ...merge }: ModelMerge) {
  return { ...merge, selector: selectorText(matchers), maxNodes: 100_000 };
}

function typeOf({ model }: Pick<SentPush, 'model'>, dice: Dice): string {
  const { sampleTypes, periodType } = model.profile;
  const name = model.labels.find(([label]) => label === '__name__')?.[1] ?? '';
  return [name, ...dice.pick(sampleTypes), ...periodType].join(':');
}

function mergeText(merge: Partial<ModelMerge> & { startMs: number; endMs: number }): string {
  const selector = merge.matchers === undefined ? '' : selectorText(merge.matchers);
  return `${merge.tenant} ${selector} ${merge.profileType ?? ''} [${new Date(merge.startMs).toISOString()}, ${new Date(merge.endMs).toISOString()}]`;
}

function sorted(texts: readonly string[]): string[] {
  return [...new Set(texts)].sort();
}

function rows(series: Map<string, Map<number, number>>): string[] {
  return [...series]
    .map(([labels, points]) => `${labels} ${JSON.stringify([...points].sort(([a], [b]) => a - b))}`)
    .sort();
}
