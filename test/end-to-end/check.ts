import { expect } from '@jest/globals';
import { create, toBinary } from '@bufbuild/protobuf';
import * as grpc from '@grpc/grpc-js';
import { PushRequestSchema, type PushRequest } from '../../src/gen/push/v1/push_pb.ts';
import { sumsOfFlameGraph } from './naive-graph.ts';
import {
  describeStack,
  labelsKey,
  type NaiveProfile,
  type NaiveSeries,
  readAnswerNaively,
  type Sums,
  sumsByName,
  totalOf,
} from './naive-profile.ts';
import type { ServerProcess } from './server-process.ts';

const MAX_NODES = 1_048_576n;
/** Around the time of a profile; also what its arrival may be away from now. */
const AROUND_MS = 30_000;

function pushRequest(bytes: Uint8Array, name: string, service: string): PushRequest {
  return create(PushRequestSchema, {
    series: [
      {
        labels: [
          { name: '__name__', value: name },
          { name: 'service_name', value: service },
        ],
        samples: [{ rawProfile: bytes }],
      },
    ],
  });
}

/** Pushes one profile over Connect, binary. */
export async function pushConnect(
  server: ServerProcess,
  bytes: Uint8Array,
  name: string,
  service: string,
): Promise<void> {
  await server.pusher.push(pushRequest(bytes, name, service));
}

/** Pushes one profile over gRPC, by a client that is not Connect's. */
export async function pushGrpc(
  server: ServerProcess,
  bytes: Uint8Array,
  name: string,
  service: string,
): Promise<void> {
  const message = Buffer.from(toBinary(PushRequestSchema, pushRequest(bytes, name, service)));
  const client = new grpc.Client(`127.0.0.1:${server.port}`, grpc.credentials.createInsecure());
  try {
    await new Promise<void>((resolve, reject) => {
      client.makeUnaryRequest(
        '/push.v1.PusherService/Push',
        (value: Buffer) => value,
        (value: Buffer) => value,
        message,
        { deadline: Date.now() + 10_000 },
        (error) => (error === null ? resolve() : reject(error)),
      );
    });
  } finally {
    client.close();
  }
}

/** Pushes one profile through `/ingest`, which finds the name of its type itself. */
export async function pushIngest(
  server: ServerProcess,
  bytes: Uint8Array,
  service: string,
): Promise<void> {
  const query = new URLSearchParams({ name: service, format: 'pprof' });
  const response = await fetch(`${server.url}/ingest?${query.toString()}`, {
    method: 'POST',
    body: Buffer.from(bytes),
  });
  expect([response.status, await response.text()]).toEqual([200, '']);
}

/** How many were compared. */
export interface Compared {
  stacks: number;
  answers: number;
}

/** What was pushed where. */
export interface Pushed {
  readonly profile: NaiveProfile;
  readonly service: string;
  /** `__name__` of a sample type. */
  readonly nameOf: (type: string) => string;
  /** Unix ms of the arrival: when a profile was that has no time. */
  readonly arrivedMs: number;
}

/** Unix ms, both inclusive. */
export function rangeAround({ profile, arrivedMs }: Pushed): { start: bigint; end: bigint } {
  const timeMs = profile.timeMs ?? arrivedMs;
  return { start: BigInt(timeMs - AROUND_MS), end: BigInt(timeMs + AROUND_MS) };
}

/** Selects the series of exactly these sample labels. */
function selectorOf({ profile, service }: Pushed, series: NaiveSeries): string {
  const names = new Set(profile.series.flatMap(({ labels }) => [...labels.keys()]));
  const pairs = [...names].map((name) => [name, series.labels.get(name) ?? '']);
  return `{${[['service_name', service], ...pairs]
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
    .join(',')}}`;
}

/**
 * Asks for every label set and every sample type, and compares: the pprof stack by stack; and the
 * flame graph by names, the timeline and the diff against itself by their sums, of all sample types,
 * of the `last` one, or of `none`.
 */
export async function expectAll(
  server: ServerProcess,
  pushed: Pushed,
  sums: 'all' | 'last' | 'none' = 'all',
): Promise<Compared> {
  const { profile, service, nameOf } = pushed;
  const compared: Compared = { stacks: 0, answers: 0 };
  const range = rangeAround(pushed);
  await expectSeries(server, pushed, range);
  for (const series of profile.series) {
    for (const [index, { type, unit }] of profile.types.entries()) {
      const period = profile.periodType;
      const profileTypeID = `${nameOf(type)}:${type}:${unit}:${period.type}:${period.unit}`;
      const labelSelector = selectorOf(pushed, series);
      const request = { profileTypeID, labelSelector, ...range };
      const expected = series.sums[index] as Sums;
      const what = `${service} ${profileTypeID} ${labelSelector}`;
      const answer = await server.querier.selectMergeProfile(request);
      expect(typeOf(answer)).toEqual({ type, unit });
      expectSame(readAnswerNaively(answer), expected, what, describeStack);
      compared.stacks += expected.size;
      compared.answers++;
      const isLast = index === profile.types.length - 1;
      if (sums === 'all' || (sums === 'last' && isLast)) {
        await expectSums(server, request, expected, what);
      }
    }
  }
  return compared;
}

function typeOf(answer: Awaited<ReturnType<ServerProcess['querier']['selectMergeProfile']>>): {
  type: string | undefined;
  unit: string | undefined;
} {
  const text = (index: bigint | undefined): string | undefined =>
    answer.stringTable[Number(index ?? -1n)];
  const [type] = answer.sampleType;
  expect(answer.sampleType).toHaveLength(1);
  return { type: text(type?.type), unit: text(type?.unit) };
}

/** The label sets of the service are those of the file. */
async function expectSeries(
  server: ServerProcess,
  { profile, service }: Pushed,
  range: { start: bigint; end: bigint },
): Promise<void> {
  const labelNames = [...new Set(profile.series.flatMap(({ labels }) => [...labels.keys()]))];
  const { labelsSet } = await server.querier.series({
    matchers: [`{service_name=${JSON.stringify(service)}}`],
    labelNames: ['service_name', ...labelNames],
    ...range,
  });
  const found = labelsSet.map(({ labels }) =>
    labelsKey(labels.map(({ name, value }) => [name, value])),
  );
  const expected = profile.series.map(({ labels }) =>
    labelsKey([['service_name', service], ...labels]),
  );
  expect(found.sort()).toEqual(expected.sort());
  const { names } = await server.querier.labelNames({
    matchers: [`{service_name=${JSON.stringify(service)}}`],
    ...range,
  });
  for (const name of ['span_id', 'profile_id', 'trace_id']) expect(names).not.toContain(name);
}

async function expectSums(
  server: ServerProcess,
  request: { profileTypeID: string; labelSelector: string; start: bigint; end: bigint },
  expected: Sums,
  what: string,
): Promise<void> {
  const total = totalOf(expected);
  const merge = { ...request, maxNodes: MAX_NODES };
  const [{ flamegraph }, { series }, diff] = await Promise.all([
    server.querier.selectMergeStacktraces(merge),
    server.querier.selectSeries({ ...request, step: 15 }),
    server.querier.diff({ left: merge, right: merge }),
  ]);
  expect(flamegraph?.total).toBe(total);
  if (flamegraph !== undefined) {
    expectSame(sumsOfFlameGraph(flamegraph), sumsByName(expected), what, (names) => names);
  }
  const points = series.flatMap((line) => line.points);
  expect(points.reduce((sum, { value }) => sum + value, 0)).toBe(Number(total));

  const difference = diff.flamegraph;
  expect(difference?.leftTicks).toBe(total);
  expect(difference?.rightTicks).toBe(total);
  expect(difference?.total).toBe(2n * total);
  expect(difference?.names).toEqual(flamegraph?.names);
  const levels = difference?.levels ?? [];
  expect(levels).toHaveLength(flamegraph?.levels.length ?? -1);
  for (const { values } of levels) {
    for (let at = 0; at < values.length; at += 7) {
      const same =
        values[at] === values[at + 3] &&
        values[at + 1] === values[at + 4] &&
        values[at + 2] === values[at + 5];
      if (!same) expect(values.slice(at, at + 3)).toEqual(values.slice(at + 3, at + 6));
    }
  }
}

/** Compares two sums value by value; told are the first few that differ. */
export function expectSame(
  found: Sums,
  expected: Sums,
  what: string,
  describe: (stack: string) => string,
): void {
  const differences: string[] = [];
  const differ = (stack: string, has: bigint | undefined, needs: bigint | undefined): void => {
    if (differences.length < 5) {
      differences.push(`${what}: found ${has}, expected ${needs}: ${describe(stack)}`);
    }
  };
  for (const [stack, value] of expected) {
    if (found.get(stack) !== value) differ(stack, found.get(stack), value);
  }
  for (const [stack, value] of found) if (!expected.has(stack)) differ(stack, value, undefined);
  expect(differences).toEqual([]);
  expect(found.size).toBe(expected.size);
}
