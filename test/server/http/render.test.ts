import { gunzipSync } from 'node:zlib';
import { create } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { TephraError } from '../../../src/base/errors.ts';
import {
  DiffResponseSchema,
  SelectMergeStacktracesResponseSchema,
} from '../../../src/gen/querier/v1/querier_pb.ts';
import { NO_NOTES } from '../../../src/query/request.ts';
import { startRealServer, type RealServer } from '../../contract/port.ts';
import { HTTP_VERSIONS, RawClient } from '../../contract/rows/raw-ways.ts';
import { JSON_TYPE, send, startFixture, type Fixture } from '../fixture.ts';

const CPU = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds';
const RANGE = { from: '1700000000000', until: '1700000030000' };
const START_MS = 1_700_000_000_000;

type Fields = Readonly<Record<string, string | readonly string[]>>;

/** A path with these parameters; lists are repeated. */
function pathOf(route: string, parameters: Fields): string {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(parameters)) {
    for (const each of [value].flat()) query.append(key, each);
  }
  return `/pyroscope/${route}?${query.toString()}`;
}

const single = (query: string, more: Fields = {}): Fields => ({ query, ...RANGE, ...more });
const sides = (left: string, right: string, more: Fields = {}): Fields => ({
  leftQuery: left,
  leftFrom: RANGE.from,
  leftUntil: RANGE.until,
  rightQuery: right,
  rightFrom: RANGE.from,
  rightUntil: RANGE.until,
  ...more,
});

describe('what is asked of the engine and made of its answer', () => {
  let it: Fixture;
  beforeAll(async () => {
    it = await startFixture();
  });
  afterAll(() => it.server.stop(1_000));

  const get = (route: string, parameters: Fields, headers: Record<string, string> = {}) =>
    send(it.url + pathOf(route, parameters), undefined, headers, 'GET');
  const asked = (method: string): unknown =>
    it.engine.calls.findLast((call) => call.method === method)?.args[0];

  test('render answers a flamebearer with its timeline', async () => {
    it.engine.lines = [
      {
        labels: [],
        points: [{ timestampMs: START_MS + 15_000, value: 11, sum: 11n, profiles: 2 }],
      },
    ];
    const answer = await get('render', single(`${CPU}{a="b"}`, { 'max-nodes': '7', unknown: '1' }));
    expect([answer.status, answer.headers['content-type']]).toEqual([200, 'application/json']);
    expect(answer.headers['tephra-exact']).toBe('true');
    expect(JSON.parse(answer.text)).toEqual({
      version: 1,
      flamebearer: {
        names: ['total', 'main'],
        levels: [
          [0, 11, 0, 0],
          [0, 11, 11, 1],
        ],
        numTicks: 11,
        maxSelf: 11,
      },
      metadata: { format: 'single', spyName: '', sampleRate: 1e9, units: 'samples', name: 'cpu' },
      timeline: {
        startTime: 1_700_000_000,
        samples: [0, 11, 0],
        durationDelta: 15,
        watermarks: {},
      },
    });
    const selection = {
      tenant: 'anonymous',
      profileType: CPU,
      selector: '{a="b"}',
      startMs: START_MS,
      endMs: START_MS + 30_000,
    };
    expect(asked('flameGraph')).toMatchObject({ ...selection, maxNodes: 7 });
    expect(asked('selectSeries')).toMatchObject({
      ...selection,
      stepMs: 15_000,
      groupBy: [],
      aggregation: 'sum',
    });
  });

  test('groups are added up to the timeline; a mean is that of all profiles', async () => {
    const point = (sum: bigint, profiles: number) => ({
      timestampMs: START_MS,
      value: Number(sum) / profiles,
      sum,
      profiles,
    });
    it.engine.lines = [
      { labels: [], points: [point(6n, 1)] },
      { labels: [['pod', 'b']], points: [point(2n, 3)] },
    ];
    const of = async (more: Fields) => {
      const answer = await get('render', single(CPU, more));
      return JSON.parse(answer.text) as {
        timeline: { samples: number[] };
        groups?: Record<string, { samples: number[] }>;
      };
    };
    const sum = await of({ groupBy: 'pod' });
    expect(sum.timeline.samples[0]).toBe(8);
    expect(sum.groups).toMatchObject({ '': { samples: [6, 0, 0] }, b: { samples: [2, 0, 0] } });
    const mean = await of({ groupBy: ['pod', 'region'], aggregation: 'avg' });
    expect(asked('selectSeries')).toMatchObject({
      groupBy: ['pod', 'region'],
      aggregation: 'average',
    });
    expect(mean.timeline.samples[0]).toBe(2);
    expect(Object.keys(mean.groups ?? {})).toEqual(['{}', '{pod="b"}']);
  });

  test.each([
    ['a:cpu:nanoseconds:b:c', 'samples', 1e9],
    ['a:goroutine:count:b:c', 'objects', 100],
    ['a:inuse_objects:count:b:c', 'objects', 100],
    ['a:alloc_space:bytes:b:c', 'bytes', 100],
    ['memory:malloc_bytes:bytes::', 'bytes', 100],
  ])('the units of %s are %s', async (type, units, sampleRate) => {
    const { metadata } = JSON.parse((await get('render', single(`${type}{}`))).text);
    const name = type.split(':')[1];
    expect(metadata).toEqual({ format: 'single', spyName: '', sampleRate, units, name });
  });

  test('a long range has about 1500 steps of whole seconds', async () => {
    const { timeline } = JSON.parse(
      (await get('render', single(CPU, { until: String(START_MS + 30 * 86_400_000) }))).text,
    );
    expect([timeline.durationDelta, timeline.samples.length]).toEqual([1_728, 1_501]);
  });

  test('render-diff answers groups of seven and the ticks of both sides', async () => {
    const answer = await get(
      'render-diff',
      sides(`${CPU}{a="1"}`, `${CPU}{a="2"}`, { maxNodes: '9' }),
    );
    expect(JSON.parse(answer.text)).toEqual({
      version: 1,
      flamebearer: {
        names: ['total'],
        levels: [[0, 3, 0, 0, 4, 0, 0]],
        numTicks: 7,
        maxSelf: 0,
      },
      metadata: { format: 'double', spyName: '', sampleRate: 1e9, units: 'samples', name: 'cpu' },
      leftTicks: 0,
      rightTicks: 0,
    });
    expect(asked('diff')).toMatchObject({
      left: { selector: '{a="1"}', maxNodes: 9 },
      right: { selector: '{a="2"}' },
    });
  });

  test('DOT is text', async () => {
    const answer = await get('render', single(CPU, { format: 'dot', 'max-nodes': '5' }));
    expect([answer.status, answer.text]).toEqual([200, 'digraph profile {}']);
    expect(answer.headers['content-type']).toBe('text/vnd.graphviz; charset=utf-8');
    expect(it.engine.calls.at(-1)?.args[1]).toEqual({ kind: 'dot', maxNodes: 5 });
  });

  test('label-values answers an array, of __name__ the types', async () => {
    const values = await get('label-values', { label: 'service_name', query: '{a="b"}', ...RANGE });
    expect(JSON.parse(values.text)).toEqual(['shop']);
    const { args } = it.engine.calls.at(-1) ?? { args: [] };
    expect(args.slice(0, 2)).toMatchObject([
      { selectors: ['{a="b"}'], startMs: START_MS, endMs: START_MS + 30_000 },
      'service_name',
    ]);
    const types = await get('label-values', { label: '__name__' });
    expect(JSON.parse(types.text)).toEqual(it.engine.types);
    expect(asked('profileTypes')).toMatchObject({ selectors: [], startMs: 0 });
  });

  test('an answer that lacks something says so', async () => {
    it.engine.notes = { ...NO_NOTES, lostParts: 1, lost: [{ what: 'x', startMs: 1, endMs: 2 }] };
    for (const path of [
      pathOf('render', single(CPU)),
      pathOf('render', single(CPU, { format: 'dot' })),
      pathOf('render-diff', sides(CPU, CPU)),
    ]) {
      const { headers } = await send(it.url + path, undefined, {}, 'GET');
      expect([path, headers['tephra-exact']]).toEqual([path, 'false']);
      expect(headers['tephra-notes']).toContain('"lostParts":1');
    }
    it.engine.notes = NO_NOTES;
  });

  test('numbers have all their digits', async () => {
    const { flamegraph } = it.engine.flame;
    const value = 2n ** 63n - 1n;
    it.engine.flame.flamegraph = create(SelectMergeStacktracesResponseSchema, {
      flamegraph: { names: ['total'], levels: [{ values: [0n, value, 0n, 0n] }], total: value },
    }).flamegraph as NonNullable<typeof flamegraph>;
    const { text } = await get('render', single(CPU));
    it.engine.flame.flamegraph = flamegraph as NonNullable<typeof flamegraph>;
    expect(text).toContain('"levels":[[0,9223372036854775807,0,0]],"numTicks":9223372036854775807');
  });

  test('a large answer is written in slices, compressed for those who take it', async () => {
    const count = 10_000;
    const names = Array.from({ length: count }, (_, i) => `f"${i}é`);
    const values = Array.from({ length: 7 * count }, (_, i) => BigInt(i));
    const before = it.engine.difference.flamegraph;
    const graph = { names, levels: [{ values }, { values: [] }], leftTicks: 1n, rightTicks: 2n };
    it.engine.difference.flamegraph = create(DiffResponseSchema, {
      flamegraph: graph,
    }).flamegraph as NonNullable<typeof before>;
    const plain = await get('render-diff', sides(CPU, CPU));
    const gzip = await get('render-diff', sides(CPU, CPU), { 'accept-encoding': 'gzip' });
    const head = await send(
      it.url + pathOf('render-diff', sides(CPU, CPU)),
      undefined,
      { 'accept-encoding': 'gzip' },
      'HEAD',
    );
    it.engine.difference.flamegraph = before as NonNullable<typeof before>;
    expect(gzip.headers).toMatchObject({ 'content-encoding': 'gzip', vary: 'Accept-Encoding' });
    expect([head.status, head.text]).toEqual([200, '']);
    expect(gunzipSync(gzip.body).equals(plain.body)).toBe(true);
    expect(JSON.parse(plain.text)).toMatchObject({
      flamebearer: { names, levels: [values.map(Number), []] },
      leftTicks: 1,
      rightTicks: 2,
    });
  });

  test('the engine hears that a client left', async () => {
    let open = (): void => {};
    it.engine.gate = new Promise((resolve) => {
      open = resolve;
    });
    const leave = new AbortController();
    const left = fetch(it.url + pathOf('render-diff', sides(CPU, CPU)), { signal: leave.signal });
    left.catch(() => {});
    const before = it.engine.calls.length;
    while (it.engine.calls.length === before) await new Promise((done) => setTimeout(done, 5));
    const { left: side } = asked('diff') as { left: { signal: AbortSignal } };
    const heard = new Promise((done) => side.signal.addEventListener('abort', done));
    leave.abort();
    await heard;
    expect(side.signal.reason).toMatchObject({ reason: 'canceled' });
    open();
  });

  test('an error of the engine has its status', async () => {
    it.engine.fail = new TephraError('overloaded', 'later');
    const answer = await get('render', single(CPU));
    it.engine.fail = undefined;
    expect(answer.status).toBe(new TephraError('overloaded', '').row.http);
  });

  const OTHER = 'memory:inuse_space:bytes:space:bytes';
  test.each<[string, string, Fields, string]>([
    ['no query', 'render', RANGE, 'query is required'],
    ['no type', 'render', single('{}'), 'expected a profile type'],
    ['four parts', 'render', single('a:b:c:d{}'), 'invalid_profile_type'],
    ['no from', 'render', { query: CPU, until: 'now' }, 'missing_time_range'],
    ['no until', 'render', { query: CPU, from: 'now-1h' }, 'missing_time_range'],
    ['a bad time', 'render', single(CPU, { from: 'yesterday' }), 'invalid_time'],
    ['times backwards', 'render', single(CPU, { from: 'now' }), 'invalid_time_range'],
    ['a query twice', 'render', single(CPU, { query: [CPU, OTHER] }), 'given twice'],
    ['a bad format', 'render', single(CPU, { format: 'svg' }), 'expected json, dot'],
    ['a bad aggregation', 'render', single(CPU, { aggregation: 'max' }), 'expected sum, avg'],
    ['DOT by group', 'render', single(CPU, { format: 'dot', groupBy: 'a' }), 'no timeline'],
    ['too many nodes', 'render', single(CPU, { maxNodes: '1048577' }), 'invalid_max_nodes'],
    ['negative nodes', 'render', single(CPU, { 'max-nodes': '-1' }), 'invalid_max_nodes'],
    ['nodes in words', 'render', single(CPU, { 'max-nodes': 'all' }), 'invalid_max_nodes'],
    ['nodes twice', 'render', single(CPU, { 'max-nodes': '1', maxNodes: '2' }), 'differ'],
    ['two types', 'render-diff', sides(CPU, OTHER), 'incompatible_profiles'],
    ['one side', 'render-diff', sides(CPU, ''), 'rightQuery is required'],
    ['a side without times', 'render-diff', sides(CPU, CPU, { rightFrom: '' }), 'rightFrom'],
    ['a diff as DOT', 'render-diff', sides(CPU, CPU, { format: 'dot' }), 'expected json'],
    ['a mean diff', 'render-diff', sides(CPU, CPU, { aggregation: 'avg' }), 'no timeline'],
    ['no label', 'label-values', RANGE, 'label is required'],
    ['values backwards', 'label-values', { label: 'a', from: 'now', until: 'now-1h' }, 'after'],
  ])('refuses %s', async (_case, route, parameters, text) => {
    const before = it.engine.calls.length;
    const answer = await get(route, parameters);
    expect([answer.status, answer.text]).toEqual([400, expect.stringContaining(text)]);
    expect(JSON.parse(answer.text)).toMatchObject({ code: 'invalid_argument' });
    expect(it.engine.calls.length).toBe(before);
  });
});

describe.each(HTTP_VERSIONS)('the same as the RPCs answer, over HTTP/%s', (version) => {
  const MINUTE_MS = 60_000;
  const nowMs = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS;
  const range = { start: nowMs - 10 * MINUTE_MS, end: nowMs + MINUTE_MS };
  const times = { from: String(range.start), until: String(range.end) };
  let it: RealServer;
  let client: RawClient;
  beforeAll(async () => {
    it = await startRealServer({ pathPrefix: '/p', corsOrigins: ['https://grafana.example'] });
    client = new RawClient(it.port);
    const folded = {
      old: 'main;alpha;gamma 5\nmain;alpha 2\nmain;beta 2\nmain;beta;delta 1\nmain 1\n',
      new: 'main;alpha;gamma 4\nmain;alpha 2\nmain;beta 6\n',
    };
    for (const [version_, stacks] of Object.entries(folded)) {
      const when = `from=${nowMs / 1_000 - 120}&until=${nowMs / 1_000 - 110}`;
      const name = encodeURIComponent(`shop.cpu{version=${version_}}`);
      const path = `/p/ingest?name=${name}&${when}`;
      await client.http(version, 'POST', path, {}, Buffer.from(stacks));
    }
  });
  afterAll(async () => {
    client.close();
    await it.stop();
  });

  const get = async (route: string, parameters: Fields) => {
    const path = `/p${pathOf(route, parameters)}`;
    const origin = { origin: 'https://grafana.example' };
    const { status, headers, body } = await client.http(version, 'GET', path, origin, undefined);
    expect([body.toString().slice(0, 200), status]).toEqual([expect.anything(), 200]);
    expect(headers['access-control-allow-origin']).toBe('https://grafana.example');
    return body.toString();
  };
  const call = async (method: string, request: object) => {
    const path = `/p/querier.v1.QuerierService/${method}`;
    const body = Buffer.from(JSON.stringify(request));
    const answer = await client.http(version, 'POST', path, JSON_TYPE, body);
    return JSON.parse(answer.body.toString());
  };
  const data = (labelSelector: string) => ({ profileTypeID: CPU, labelSelector, ...range });
  /** A flame graph of Connect JSON as flamebearer has it. */
  const flamebearer = (graph: {
    names: string[];
    levels: { values: string[] }[];
    total?: string;
    maxSelf?: string;
  }) => ({
    names: graph.names,
    levels: graph.levels.map(({ values }) => values.map(Number)),
    numTicks: Number(graph.total ?? 0),
    maxSelf: Number(graph.maxSelf ?? 0),
  });

  test.each(['{}', '{version="old"}', '{version="none"}'])('render of %s', async (selector) => {
    const { flamegraph } = await call('SelectMergeStacktraces', data(selector));
    const answer = JSON.parse(await get('render', { query: CPU + selector, ...times }));
    expect(answer.flamebearer).toEqual(flamebearer(flamegraph));
    const { series = [] } = await call('SelectSeries', { ...data(selector), step: 15 });
    const points: { timestamp: string; value: number }[] = series[0]?.points ?? [];
    const samples = Array.from({ length: 45 }, () => 0);
    for (const { timestamp, value } of points) {
      samples[(Number(timestamp) - range.start) / 15_000] = value;
    }
    expect(answer.timeline).toEqual({
      startTime: range.start / 1_000,
      samples,
      durationDelta: 15,
      watermarks: {},
    });
  });

  test('render with a node budget, and by group', async () => {
    const { flamegraph } = await call('SelectMergeStacktraces', { ...data('{}'), maxNodes: 3 });
    const asked = { query: `${CPU}{}`, ...times, 'max-nodes': '3', groupBy: 'version' };
    const answer = JSON.parse(await get('render', asked));
    expect(answer.flamebearer).toEqual(flamebearer(flamegraph));
    expect(Object.keys(answer.groups)).toEqual(['new', 'old']);
    const sum = (samples: number[]) => samples.reduce((all, each) => all + each, 0);
    const groups = Object.values<{ samples: number[] }>(answer.groups);
    expect(groups.map(({ samples }) => sum(samples))).toEqual([120_000_000, 110_000_000]);
    expect(sum(answer.timeline.samples)).toBe(230_000_000);
    const mean = JSON.parse(await get('render', { ...asked, aggregation: 'avg' }));
    expect(sum(mean.timeline.samples)).toBe(115_000_000);
  });

  test('render as DOT', async () => {
    const { dot } = await call('SelectMergeStacktraces', { ...data('{}'), format: 3 });
    expect(await get('render', { query: `${CPU}{}`, ...times, format: 'dot' })).toBe(dot);
  });

  test.each(['{version="new"}', '{version="none"}'])('render-diff with %s', async (selector) => {
    const request = { left: data('{version="old"}'), right: data(selector) };
    const { flamegraph } = await call('Diff', request);
    const parameters = {
      leftQuery: `${CPU}{version="old"}`,
      leftFrom: times.from,
      leftUntil: times.until,
      rightQuery: CPU + selector,
      rightFrom: times.from,
      rightUntil: times.until,
    };
    const answer = JSON.parse(await get('render-diff', parameters));
    expect(answer.flamebearer).toEqual(flamebearer(flamegraph));
    expect([answer.leftTicks, answer.rightTicks]).toEqual([
      Number(flamegraph.leftTicks),
      Number(flamegraph.rightTicks ?? 0),
    ]);
  });

  test('label-values', async () => {
    for (const name of ['version', 'service_name', '__profile_type__']) {
      const { names } = await call('LabelValues', { name, ...range });
      expect(JSON.parse(await get('label-values', { label: name }))).toEqual(names);
    }
    const some = { label: 'version', query: `${CPU}{version=~"n.*"}`, ...times };
    expect(JSON.parse(await get('label-values', some))).toEqual(['new']);
    expect(JSON.parse(await get('label-values', { label: '__name__' }))).toEqual([CPU]);
    const past = { label: '__name__', from: '20200101', until: '20200102' };
    expect(JSON.parse(await get('label-values', past))).toEqual([]);
  });
});
