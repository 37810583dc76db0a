/** Random pushes, selectors and ranges of a history. */
import type { PushItem } from '../../src/ingest/push.ts';
import type { Label } from '../../src/profile/labels.ts';
import type { Dice } from './dice.ts';
import { encodePprof, type ModelFrame, type ModelProfile, type ModelSample } from './profile.ts';
import type { ModelMatcher, ModelPush } from './reference.ts';

/** A push as it is sent, and what the reference is told of it. */
export interface SentPush {
  readonly item: PushItem;
  readonly model: ModelPush;
  /** Whether a second copy of it can be told from another push, */
  readonly hasIdentity: boolean;
  /** and until when, by arrival in Unix ms. */
  readonly knownUntilMs: number;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** The kinds of profiles: name, sample types, period. */
export const KINDS = [
  {
    name: 'process_cpu',
    sampleTypes: [
      ['samples', 'count'],
      ['cpu', 'nanoseconds'],
    ],
    periodType: ['cpu', 'nanoseconds'],
    period: 10_000_000n,
  },
  {
    name: 'wall',
    sampleTypes: [['wall', 'nanoseconds']],
    periodType: ['wall', 'nanoseconds'],
    period: 1_000_000n,
  },
  {
    name: 'memory',
    sampleTypes: [
      ['alloc_objects', 'count'],
      ['alloc_space', 'bytes'],
      ['inuse_objects', 'count'],
      ['inuse_space', 'bytes'],
    ],
    periodType: ['space', 'bytes'],
    period: 524_288n,
  },
] as const;

/** Five-part ids of all types. */
export const PROFILE_TYPES: readonly string[] = KINDS.flatMap(({ name, sampleTypes, periodType }) =>
  sampleTypes.map(([type, unit]) => [name, type, unit, ...periodType].join(':')),
);

/** The tenants. */
export const TENANTS = ['anonymous', 'other'] as const;
const SERVICES = ['shop', 'cart', 'pay', ''] as const;
const MAPPINGS = [
  { mappingFile: '', buildId: '' },
  { mappingFile: 'app', buildId: 'b1' },
  { mappingFile: 'libz.so', buildId: '' },
] as const;

/** Makes the pushes of one history. */
export class PushMaker {
  readonly #dice: Dice;
  readonly #pools = new Map<string, ModelFrame[][]>();
  #pushes = 0;

  constructor(dice: Dice) {
    this.#dice = dice;
  }

  /** A push that arrives at `nowMs`, or a little earlier: pushes overtake each other on the way. */
  make(tenant: string, atMs: number): SentPush {
    const dice = this.#dice;
    const nowMs = atMs - (dice.chance(15) ? dice.whole(1, 3_000) : 0);
    const service = dice.pick(SERVICES);
    const kind = dice.pick(KINDS);
    const labels = this.#labels(kind.name, service);
    const time = dice.weighted({ body: 75, client: 20, none: 5 });
    const startMs = time === 'none' ? nowMs : this.#eventMs(nowMs);
    const profile: ModelProfile = {
      sampleTypes: kind.sampleTypes,
      periodType: kind.periodType,
      period: kind.period,
      timeNanos:
        time === 'body'
          ? BigInt(startMs) * 1_000_000n + BigInt(dice.whole(0, 999_999))
          : time === 'client' && dice.chance(50)
            ? BigInt(startMs - 5_000) * 1_000_000n
            : 0n,
      samples: this.#samples(service, kind),
    };
    const id = dice.weighted({ uuid: 70, none: 20, zero: 10 });
    const item: PushItem = {
      tenant,
      labels,
      profileId: id === 'uuid' ? uuid(dice.hex(32)) : id === 'zero' ? uuid('0'.repeat(32)) : '',
      ...(time === 'client' ? { fromMs: startMs, untilMs: startMs + 10_000 } : {}),
      format: 'pprof',
      surface: time === 'client' ? 'ingest' : 'push',
      payload: encodePprof(profile),
      arrivalMs: nowMs,
    };
    return {
      item,
      model: { tenant, labels, startMs, profile },
      hasIdentity: id === 'uuid' || time !== 'none',
      // Without a time only the memory of the last hour tells.
      knownUntilMs: nowMs + (time === 'none' ? 0.5 : 20) * HOUR_MS,
    };
  }

  #labels(name: string, service: string): Label[] {
    const dice = this.#dice;
    const labels: Label[] = [['__name__', name]];
    if (service !== '') labels.push(['service_name', service]);
    if (dice.chance(70)) labels.push(['env', dice.pick(['prod', 'dev'])]);
    if (dice.chance(50)) labels.push(['pod', dice.pick(['p1', 'p2', 'p3'])]);
    if (dice.chance(10)) labels.push(['__session_id__', dice.hex(8)]);
    return dice.shuffled(labels);
  }

  /** Mostly just now, and often in the same few minutes; sometimes late, at most by a day. */
  #eventMs(nowMs: number): number {
    const dice = this.#dice;
    switch (dice.weighted({ now: 55, minute: 15, hour: 12, day: 14, future: 4 })) {
      case 'now':
        return nowMs - dice.whole(0, 2 * MINUTE_MS);
      case 'minute':
        // The first or last millisecond of a minute: where off by one shows.
        return Math.floor(nowMs / MINUTE_MS) * MINUTE_MS - dice.whole(0, 1);
      case 'hour':
        return nowMs - dice.whole(0, HOUR_MS);
      case 'day':
        return nowMs - dice.whole(HOUR_MS, 24 * HOUR_MS);
      case 'future':
        return nowMs + dice.whole(0, 9 * MINUTE_MS);
    }
  }

  #samples(service: string, kind: (typeof KINDS)[number]): ModelSample[] {
    const dice = this.#dice;
    const pool = this.#pool(service);
    const spans = dice.chance(15);
    const threads = dice.chance(15);
    const shadows = dice.chance(5);
    const huge = dice.chance(3);
    const samples: ModelSample[] = [];
    const seen = new Set<string>();
    const sample = (frames: readonly ModelFrame[], count: number): void => {
      const labels: Label[] = [];
      if (threads) labels.push(['thread', dice.pick(['main', 'gc'])]);
      // A label that the series may have already: the series' own value wins.
      if (shadows) labels.push(['env', 'sample']);
      const key = JSON.stringify(labels);
      if (spans && dice.chance(60)) labels.push(['span_id', dice.hex(16)]);
      if (spans && dice.chance(20)) labels.push(['trace_id', dice.hex(32)]);
      // Each set of labels has some value of each type: whether a sum of nothing is a series or
      // a point is not asked here.
      const first = !seen.has(key);
      seen.add(key);
      // Past 2^53, but no sum of a history passes 2^63.
      const scale = huge && dice.chance(30) ? 1n << BigInt(dice.whole(24, 30)) : 1n;
      samples.push({
        frames,
        values: values(dice, kind, first ? 1 : count).map((value) => value * scale),
        labels,
      });
    };
    // The stack that no other push has; on top of one that others may have.
    const own = { ...(pool[0]?.[0] as ModelFrame), name: `own_${this.#pushes++}` };
    sample([...(dice.chance(50) ? dice.pick(pool) : []), { ...own, inlined: false }], 1);
    for (let i = dice.whole(1, 5); i > 0; i--) {
      const frames = dice.pick(pool);
      sample(frames, dice.chance(8) ? 0 : dice.whole(1, 5));
      if (dice.chance(10)) sample(frames, 1);
    }
    return dice.shuffled(samples);
  }

  /** Stacks of a service; they grow out of each other, so that prefixes are shared. */
  #pool(service: string): ModelFrame[][] {
    const known = this.#pools.get(service);
    if (known !== undefined) return known;
    const dice = this.#dice;
    const stacks: ModelFrame[][] = [];
    for (let i = 0; i < 12; i++) {
      const base = stacks.length > 0 && dice.chance(75) ? dice.pick(stacks) : [];
      const frames = base.slice(0, dice.whole(0, base.length));
      for (let depth = dice.whole(1, 3); depth > 0; depth--) {
        frames.push(this.#frame(frames.at(-1)));
      }
      stacks.push(frames);
    }
    this.#pools.set(service, stacks);
    return stacks;
  }

  #frame(caller: ModelFrame | undefined): ModelFrame {
    const dice = this.#dice;
    const inlined = caller !== undefined && caller.name !== '' && dice.chance(20);
    const mapping = inlined ? caller : dice.pick(MAPPINGS);
    const { mappingFile, buildId } = mapping;
    if (mappingFile !== '' && !inlined && dice.chance(15)) {
      return {
        name: '',
        systemName: '',
        file: '',
        startLine: 0,
        line: 0,
        mappingFile,
        buildId,
        address: dice.pick([0x10, 0x2f_0000_0000, 0xabc]),
        inlined: false,
      };
    }
    const name = dice.pick(['main', 'run', 'parse', 'größe', 'a;b', 'x']);
    return {
      name,
      systemName: dice.chance(80) ? name : `_Z${name}`,
      file: dice.pick(['/src/a.go', '/src/b.go', '']),
      startLine: dice.pick([0, 10]),
      line: dice.pick([0, 11, 12]),
      mappingFile,
      buildId,
      address: inlined ? caller.address : dice.whole(0, 1_000),
      inlined,
    };
  }
}

function values(dice: Dice, kind: (typeof KINDS)[number], count: number): bigint[] {
  const n = BigInt(count);
  // Values that the period does not divide, so that the column's gcd must serve.
  const odd = dice.chance(20) ? BigInt(dice.whole(1, 999)) : 0n;
  switch (kind.name) {
    case 'process_cpu':
      return count === 0 ? [0n, 0n] : [n, n * kind.period + odd];
    case 'wall':
      return [count === 0 ? 0n : n * kind.period + odd];
    case 'memory': {
      const size = BigInt(dice.pick([16, 48, 1_024]));
      const alive = count > 1 && dice.chance(50) ? 0n : n;
      return [n, n * size + odd * n, alive, alive * size];
    }
  }
}

function uuid(digits: string): string {
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/** Some selectors that match all, some, or nothing. */
export function makeMatchers(dice: Dice): ModelMatcher[] {
  const all: ModelMatcher[] = [
    {
      name: 'service_name',
      op: '=',
      value: dice.pick(['shop', 'cart', 'pay', 'unknown_service', 'none']),
    },
    { name: 'service_name', op: '=~', value: dice.pick(['shop|cart', 's.*', '(pay|shop)', '.+']) },
    { name: 'service_name', op: '!=', value: 'shop' },
    { name: 'service_name', op: '!~', value: dice.pick(['c.+', 'pay|cart']) },
    { name: '__service_name__', op: '=', value: 'cart' },
    { name: 'env', op: dice.pick(['=', '!=']), value: dice.pick(['prod', 'dev', 'sample', '']) },
    { name: 'pod', op: dice.pick(['=~', '!~']), value: dice.pick(['p[12]', 'p.*', '', 'p1|p3']) },
    { name: 'thread', op: dice.pick(['=', '!=']), value: dice.pick(['main', 'gc', '']) },
    { name: '__name__', op: '=', value: dice.pick(['process_cpu', 'wall', 'memory']) },
    { name: '__type__', op: '=~', value: dice.pick(['cpu|wall', 'alloc_.*']) },
    { name: 'missing', op: dice.pick(['=', '!=']), value: dice.pick(['', 'x']) },
  ];
  if (dice.chance(35)) return [];
  const matchers = [dice.pick(all)];
  if (dice.chance(35)) matchers.push(dice.pick(all));
  return matchers;
}
