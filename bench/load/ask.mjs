import assert from 'node:assert';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { ProfileSchema } from '../../dist/gen/google/v1/profile_pb.js';
import {
  DiffRequestSchema,
  DiffResponseSchema,
  SelectMergeProfileRequestSchema,
  SelectMergeStacktracesRequestSchema,
  SelectMergeStacktracesResponseSchema,
  SelectSeriesRequestSchema,
  SelectSeriesResponseSchema,
} from '../../dist/gen/querier/v1/querier_pb.js';
import { ConnectClient } from './connect.mjs';

const TYPE = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds';
const MAX_NODES = 8_192n;

/**
 * Asks each question of a load `runs` times, each time over a range that was not asked for before: it
 * begins some milliseconds earlier and has the same profiles. Each answer's sum is checked. Wall time is
 * the client's, from the request to the last byte of the answer.
 *
 * @param {import('./loads.mjs').Load} load
 */
export async function ask(load, { server, runs, warm, progress }) {
  const client = new ConnectClient(server.url, 4);
  const results = [];
  let asked = 0;
  for (const question of load.questions) {
    progress(question.name);
    const wall = [];
    let bytes = 0;
    let cpuBefore;
    // The first answers, `warm` of them, are slower: the compiler has not seen them.
    for (let run = -warm; run < runs; run++) {
      if (run === 0) cpuBefore = server.cpuMs();
      const { method, body, sumOf } = KINDS[question.ask](question, ++asked);
      const started = performance.now();
      const answer = await client.call(`querier.v1.QuerierService/${method}`, body);
      if (run >= 0) wall.push(performance.now() - started);
      bytes = answer.byteLength;
      assert.equal(sumOf(answer), question.sum, `the sum of: ${question.name}`);
    }
    const cpuAfter = server.cpuMs();
    const cpuMs = cpuAfter === undefined ? undefined : (cpuAfter - cpuBefore) / runs;
    results.push({ name: question.name, runs, wall, cpuMs, bytes });
  }
  client.close();
  return results;
}

const KINDS = {
  flameGraph: (question, earlier) => ({
    method: 'SelectMergeStacktraces',
    body: toBinary(SelectMergeStacktracesRequestSchema, merge(question, earlier)),
    sumOf: (bytes) =>
      fromBinary(SelectMergeStacktracesResponseSchema, bytes).flamegraph?.total ?? 0n,
  }),
  diff: (question, earlier) => ({
    method: 'Diff',
    body: toBinary(
      DiffRequestSchema,
      create(DiffRequestSchema, {
        left: merge({ ...question, endMs: question.middleMs - 1 }, earlier),
        right: merge({ ...question, startMs: question.middleMs }, 0),
      }),
    ),
    sumOf: (bytes) => {
      const { leftTicks, rightTicks } = fromBinary(DiffResponseSchema, bytes).flamegraph;
      return leftTicks + rightTicks;
    },
  }),
  pprof: ({ selector, startMs, endMs }, earlier) => ({
    method: 'SelectMergeProfile',
    body: toBinary(
      SelectMergeProfileRequestSchema,
      create(SelectMergeProfileRequestSchema, {
        profileTypeID: TYPE,
        labelSelector: selector,
        start: BigInt(startMs - earlier),
        end: BigInt(endMs),
      }),
    ),
    sumOf: (bytes) =>
      fromBinary(ProfileSchema, bytes).sample.reduce((sum, { value }) => sum + value[0], 0n),
  }),
  // A point stands at the end of its step: what lies behind the last whole step has none.
  series: ({ selector, startMs, endMs, stepSeconds = 60 }, earlier) => ({
    method: 'SelectSeries',
    body: toBinary(
      SelectSeriesRequestSchema,
      create(SelectSeriesRequestSchema, {
        profileTypeID: TYPE,
        labelSelector: selector,
        start: BigInt(startMs - earlier),
        end: BigInt(endMs + stepSeconds * 1_000),
        step: stepSeconds,
        groupBy: ['service_name'],
      }),
    ),
    sumOf: (bytes) =>
      fromBinary(SelectSeriesResponseSchema, bytes)
        .series.flatMap(({ points }) => points)
        .reduce((sum, { value }) => sum + BigInt(value), 0n),
  }),
};

function merge({ selector, startMs, endMs }, earlier) {
  return create(SelectMergeStacktracesRequestSchema, {
    profileTypeID: TYPE,
    labelSelector: selector,
    start: BigInt(startMs - earlier),
    end: BigInt(endMs),
    maxNodes: MAX_NODES,
  });
}
