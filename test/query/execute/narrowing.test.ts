import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ProfileFormat, QuerierService } from '../../../src/gen/querier/v1/querier_pb.ts';
import { QueryService } from '../../../src/gen/tephra/v1/query_pb.ts';
import { Dice } from '../../model/dice.ts';
import {
  DAY,
  MINUTE,
  QueryBench,
  readTree,
  sorted,
  TYPE,
  type Pushed,
  type Sample,
  type Stacks,
} from './bench.ts';

const { method } = QuerierService;
const SPANS = ['00000000000000a1', '00000000000000b2'];
const TRACES = ['000000000000000000000000000000c3', '000000000000000000000000000000d4'];
const dice = new Dice(7);
const below = (end: number): number => dice.whole(0, end - 1);

/** Random profiles over some minutes; every sample may be of a span and a trace. */
function randomPushes(): Pushed[] {
  return Array.from({ length: 24 }, (_, i) => ({
    startMs: DAY + below(5) * MINUTE + below(MINUTE),
    id: `00000000-0000-4000-8000-0000000000${String(i).padStart(2, '0')}`,
    labels: [
      ['service_name', dice.chance(50) ? 'shop' : 'cart'],
      ['pod', `p${below(2)}`],
    ],
    samples: Array.from({ length: 1 + below(6) }, (): Sample => {
      const labels: [string, string][] = [];
      if (dice.chance(50)) labels.push(['span_id', SPANS[below(2)] as string]);
      if (dice.chance(50)) labels.push(['trace_id', TRACES[below(2)] as string]);
      const depth = 1 + below(4);
      const stack = Array.from({ length: depth }, () => 'abc'[below(3)] as string);
      return { stack, value: BigInt(1 + below(1000)), labels };
    }),
  }));
}

interface Question {
  readonly startMs: number;
  readonly endMs: number;
  readonly callSite: string[];
  readonly profileIds: string[];
  readonly spanIds: string[];
  readonly traceIds: string[];
}

const NOTHING = { callSite: [], profileIds: [], spanIds: [], traceIds: [] };
const WHOLE = { startMs: DAY, endMs: DAY + 10 * MINUTE };

/** Looks through all samples of all profiles. */
function naive(pushes: readonly Pushed[], asked: Question): Stacks {
  const sums: Stacks = new Map();
  for (const { startMs, id = '', samples } of pushes) {
    if (startMs < asked.startMs || startMs > asked.endMs) continue;
    if (asked.profileIds.length > 0 && !asked.profileIds.includes(id)) continue;
    for (const { stack, value, labels = [] } of samples) {
      const of = (name: string): string => labels.find(([key]) => key === name)?.[1] ?? '';
      if (asked.spanIds.length > 0 && !asked.spanIds.includes(of('span_id'))) continue;
      if (asked.traceIds.length > 0 && !asked.traceIds.includes(of('trace_id'))) continue;
      if (!asked.callSite.every((name, i) => stack[i] === name)) continue;
      const key = JSON.stringify(stack);
      sums.set(key, (sums.get(key) ?? 0n) + value);
    }
  }
  return sums;
}

function randomQuestion(pushes: readonly Pushed[]): Question {
  const from = DAY + below(5 * MINUTE);
  const hasSpans = dice.chance(40);
  return {
    startMs: dice.chance(50) ? DAY : from,
    endMs: dice.chance(50) ? DAY + 10 * MINUTE : from + below(3 * MINUTE),
    callSite: dice.chance(50)
      ? Array.from({ length: 1 + below(2) }, () => 'abc'[below(3)] as string)
      : [],
    profileIds: dice.chance(40)
      ? Array.from({ length: 2 }, () => pushes[below(pushes.length)]?.id ?? '')
      : [],
    spanIds: hasSpans ? [SPANS[below(2)] as string] : [],
    traceIds: !hasSpans && dice.chance(40) ? [TRACES[below(2)] as string] : [],
  };
}

const pushes = randomPushes();
const bench = new QueryBench();
beforeAll(async () => {
  await bench.open();
  await bench.push(...pushes.slice(0, 12));
});
afterAll(() => bench.engine.stop());

function request({ startMs, endMs, ...asked }: Question) {
  return {
    profileTypeID: TYPE,
    labelSelector: '{}',
    start: BigInt(startMs),
    end: BigInt(endMs),
    stackTraceSelector: { callSite: asked.callSite.map((name) => ({ name })) },
    profileIdSelector: asked.profileIds,
    spanSelector: asked.spanIds,
    traceIdSelector: asked.traceIds,
  };
}

async function sameAsNaive(known: readonly Pushed[]): Promise<void> {
  for (let i = 0; i < 60; i++) {
    const asked = randomQuestion(known);
    const answer = await bench.call(method.selectMergeStacktraces, {
      ...request(asked),
      format: ProfileFormat.TREE,
    });
    expect(sorted(readTree(answer.tree))).toEqual(sorted(naive(known, asked)));
  }
}

describe('a merge narrowed by call site, profiles, spans and traces', () => {
  test('is that of the naive reading of the head', () => sameAsNaive(pushes.slice(0, 12)));

  test('is that of the naive reading of blocks and head together', async () => {
    await bench.absorb();
    await bench.push(...pushes.slice(12));
    await sameAsNaive(pushes);
  });

  test('is that of the naive reading of blocks after a restart', async () => {
    await bench.absorb();
    await bench.open();
    await sameAsNaive(pushes);
  });

  test('comes in all forms with the same total', async () => {
    const asked = { ...NOTHING, ...WHOLE, callSite: ['a'] };
    const expected = naive(pushes, asked);
    const total = [...expected.values()].reduce((sum, value) => sum + value, 0n);
    const ask = (format: ProfileFormat) =>
      bench.call(method.selectMergeStacktraces, { ...request(asked), format });
    expect((await ask(ProfileFormat.FLAMEGRAPH)).flamegraph?.total).toBe(total);
    const { pprof } = await ask(ProfileFormat.PPROF);
    const values = pprof?.profile?.sample.map(({ value }) => value[0] ?? 0n) ?? [];
    expect(values.reduce((sum, value) => sum + value, 0n)).toBe(total);
    const { dot } = await ask(ProfileFormat.DOT);
    expect(dot).toMatch(/^digraph profile \{[^]*\n\}\n$/);
    expect(dot).toContain(`N1 [label="a\\n`);
    expect(dot).toContain(`of ${total} (100.00%)`);
    const bare = await bench.call(method.selectMergeProfile, request(asked));
    expect(bare.sample.length).toBe(pprof?.profile?.sample.length);
  });

  test('by spans alone is what SelectMergeSpanProfile answers', async () => {
    const asked = { ...NOTHING, ...WHOLE, spanIds: [SPANS[0] as string] };
    const { profileTypeID, labelSelector, start, end } = request(asked);
    const answer = await bench.call(method.selectMergeSpanProfile, {
      profileTypeID,
      labelSelector,
      start,
      end,
      spanSelector: ['00000000000000A1'],
      format: ProfileFormat.TREE,
    });
    expect(sorted(readTree(answer.tree))).toEqual(sorted(naive(pushes, asked)));
  });

  test('is refused where it is malformed or cannot be', async () => {
    const base = request({ ...NOTHING, ...WHOLE });
    const refused = (more: object, reason = 'invalid_argument') =>
      expect(bench.call(method.selectMergeStacktraces, { ...base, ...more })).rejects.toMatchObject(
        { reason },
      );
    await refused({ spanSelector: ['xyz'] });
    await refused({ spanSelector: [`${SPANS[0]}0`] });
    await refused({ traceIdSelector: [SPANS[0]] });
    await refused({ spanSelector: SPANS, traceIdSelector: TRACES });
    await refused({ profileIdSelector: [''] });
    await refused({ stackTraceSelector: { goPgo: { keepLocations: 3 } } });
    await refused({ format: 9 }, 'unimplemented');
    const { profileTypeID, labelSelector, start, end } = base;
    await expect(
      bench.call(method.selectMergeSpanProfile, { profileTypeID, labelSelector, start, end }),
    ).rejects.toMatchObject({ reason: 'invalid_argument' });
  });

  test('keeps the frames nearest the leaf for Go, and adds up its callees', async () => {
    const base = request({ ...NOTHING, ...WHOLE });
    const profile = await bench.call(method.selectMergeProfile, {
      ...base,
      stackTraceSelector: { goPgo: { keepLocations: 2, aggregateCallees: true } },
    });
    const expected = new Map<string, bigint>();
    for (const [key, value] of naive(pushes, { ...NOTHING, ...WHOLE })) {
      const kept = JSON.stringify((JSON.parse(key) as string[]).slice(-2));
      expected.set(kept, (expected.get(kept) ?? 0n) + value);
    }
    const found = new Map<string, bigint>();
    const text = (index: bigint | undefined): string => profile.stringTable[Number(index)] ?? '';
    for (const { locationId, value } of profile.sample) {
      const names = locationId.toReversed().map((id, i) => {
        const line = profile.location.find((one) => one.id === id)?.line[0];
        expect(line?.line === 0n).toBe(i === locationId.length - 1);
        return text(profile.function.find((one) => one.id === line?.functionId)?.name);
      });
      found.set(JSON.stringify(names), value[0] ?? 0n);
    }
    expect(sorted(found)).toEqual(sorted(expected));
  });

  test('says how many profiles it could not look into when the raw tier is gone', async () => {
    await bench.dropRaw();
    const selection = {
      profileType: TYPE,
      selector: '{}',
      startMs: BigInt(DAY),
      endMs: BigInt(DAY + 10 * MINUTE),
    };
    const { exactness } = await bench.call(QueryService.method.merge, {
      selection: { ...selection, profileIds: [pushes[0]?.id ?? ''] },
    });
    expect(exactness).toMatchObject({ exact: false, unreadProfiles: 24n, total: 0n });
    const all = await bench.call(QueryService.method.merge, { selection });
    expect(all.exactness).toMatchObject({ exact: true, profiles: 24n });
  });
});

test('ids are looked for in so many bytes of fragments, and no more', async () => {
  const small = await new QueryBench({ rawQueryBytes: 1_000 }).open();
  await small.push(...pushes);
  await small.absorb();
  await small.open();
  const asked = { ...WHOLE, ...NOTHING, profileIds: [pushes[0]?.id ?? ''] };
  await expect(small.call(method.selectMergeStacktraces, request(asked))).rejects.toMatchObject({
    reason: 'query_limit',
    detail: expect.stringContaining('narrow the time range, or name the service') as unknown,
  });
  // Whole minutes do not read fragments.
  await small.call(method.selectMergeStacktraces, request({ ...WHOLE, ...NOTHING }));
  await small.engine.stop();
});
