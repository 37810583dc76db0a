import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { DAY, itemOf, QueryBench, type Pushed } from '../query/execute/bench.ts';
import { QuerierService } from '../../src/gen/querier/v1/querier_pb.ts';

const bench = new QueryBench();
beforeAll(() => bench.open());
afterAll(() => bench.engine.stop());

const RANGE = { start: BigInt(DAY), end: BigInt(DAY + 1_000) };

test.each<[string, Partial<Pushed>, string]>([
  ['a type', { type: ['cycles:u', 'count'] }, 'process_cpu:cycles_u:count:cpu:nanoseconds'],
  ['a unit', { type: ['cpu', 'a:b:c'] }, 'process_cpu:cpu:a_b_c:cpu:nanoseconds'],
  ['a name', { name: 'perf:user' }, 'perf_user:cpu:nanoseconds:cpu:nanoseconds'],
])('a colon in %s is stored as a type that can be asked for', async (_, fields, id) => {
  const samples = [{ stack: ['main'], value: 8n }];
  await bench.push({ startMs: DAY, samples, ...fields });
  const { profileTypes } = await bench.call(QuerierService.method.profileTypes, RANGE);
  expect(profileTypes.map(({ ID }) => ID)).toContain(id);
  const { flamegraph } = await bench.call(QuerierService.method.selectMergeStacktraces, {
    profileTypeID: id,
    labelSelector: '{}',
    ...RANGE,
  });
  expect(flamegraph?.total).toBe(8n);
});

test('on /ingest a sample type that gives the name may have a colon too', async () => {
  const startMs = DAY;
  const item = itemOf(
    { startMs, samples: [{ stack: ['main'], value: 8n }], type: ['major:u', 'count'] },
    bench.nowMs,
  );
  const [outcome] = await bench.engine.push([
    { ...item, labels: [['service_name', 'shop']], surface: 'ingest' },
  ]);
  expect(outcome?.outcome).toBe('stored');
  const { profileTypes } = await bench.call(QuerierService.method.profileTypes, RANGE);
  expect(profileTypes.map(({ ID }) => ID)).toContain('major_u:major_u:count:cpu:nanoseconds');
});
