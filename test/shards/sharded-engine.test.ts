import { describe, expect, test } from '@jest/globals';
import { systemTimers } from '../../src/base/clock.ts';
import { TephraError } from '../../src/base/errors.ts';
import { LIMITS } from '../../src/base/limits.ts';
import { shardOf } from '../../src/ingest/route.ts';
import type { PushItem } from '../../src/ingest/push.ts';
import { joinCosts } from '../../src/query/execute/cost.ts';
import { NO_NOTES, type MergeRequest } from '../../src/query/request.ts';
import type { ShardHostApi } from '../../src/shards/host-contract.ts';
import { temporaryScratch } from '../support/scratch.ts';
import { inlineHandle } from '../../src/shards/host-handle.ts';
import type { BlobStore } from '../../src/storage/blob-store/contract.ts';
import { MemoryBlobStore } from '../../src/storage/blob-store/memory.ts';
import { ShardedEngine } from '../../src/shards/sharded-engine.ts';

const SHARDS = 4;
const NOTES = NO_NOTES;

/** A host that writes down what it is asked; `own` replaces methods. */
function fakeHost(log: string[], name: string, own: Partial<ShardHostApi> = {}): ShardHostApi {
  const answer = { bytes: new Uint8Array(0), front: undefined, notes: NOTES };
  const say = <T>(what: string, value: T): Promise<T> => {
    log.push(`${name} ${what}`);
    return Promise.resolve(value);
  };
  return {
    open: () => say('open', undefined),
    push: (shard, items) =>
      say(
        `push ${shard}`,
        items.map((_, i) => ({ outcome: 'stored' as const, entries: i })),
      ),
    splitOtlp: () => say('split', { profiles: 0, pushes: [], refused: [], bytes: 0 }),
    openStream: (shard) => say(`open stream ${shard}`, {} as never),
    takeStream: (shard, { calls, bytes }) =>
      say(`take ${shard}: ${calls.join()}`, { reports: [], bytes }),
    closeStream: (shard, call) => say(`close stream ${shard}: ${call}`, undefined),
    labelRows: (shards) => say(`labels ${shards.join()}`, { rows: [], losses: NOTES }),
    seriesParts: (shards) => say(`series ${shards.join()}`, { groups: [] }),
    mergeNames: (shards) => say(`names ${shards.join()}`, { tree: {} as never, notes: NOTES }),
    mergeSides: (shards) => say(`sides ${shards.join()}`, { tree: {} as never, notes: NOTES }),
    mergeFrames: (shards) => say(`frames ${shards.join()}`, { tree: {} as never, notes: NOTES }),
    finishFlameGraph: (parts, maxNodes) => say(`graph of ${parts.length}, ${maxNodes}`, answer),
    finishTree: (parts, form) => say(`${form.kind} of ${parts.length}`, answer),
    openNodes: (parts) => say(`open ${parts.length}`, { id: 1, nodes: 1, notes: NOTES }),
    readNodes: (id) => say(`read ${id}`, null),
    closeNodes: (id) => say(`close ${id}`, undefined),
    profileStats: (shards) =>
      say(`stats ${shards.join()}`, { hasProfiles: true, oldestMs: 1, newestMs: 2 }),
    queryCost: (shards) => say(`cost ${shards.join()}`, joinCosts([])),
    finishDiff: (parts) => say(`diff of ${parts.length}`, answer),
    finishPprof: (parts) => say(`pprof of ${parts.length}`, answer),
    releaseVolumes: (volumes) => say(`release ${volumes.join()}`, []),
    runJobs: (nowMs) => say(`jobs ${nowMs}`, undefined),
    counters: () => say('counters', { pushes: 2 }),
    stop: () => say('stop', undefined),
    ...own,
  };
}

function engineOf(
  log: string[],
  own: Partial<ShardHostApi> = {},
  onCounters?: (counters: Record<string, number>) => void,
  store: BlobStore = new MemoryBlobStore(),
): ShardedEngine {
  return new ShardedEngine({
    hosts: [
      inlineHandle([0, 2], fakeHost(log, 'a', own)),
      inlineHandle([1, 3], fakeHost(log, 'b')),
    ],
    shardCount: SHARDS,
    store,
    scratch: temporaryScratch(),
    timers: systemTimers,
    limits: LIMITS,
    onCounters,
  });
}

/** Names of services by shard. */
const SERVICE_OF = new Map<number, string>();
for (let i = 0; SERVICE_OF.size < SHARDS; i++) {
  SERVICE_OF.set(shardOf('t', `s${i}`, SHARDS), `s${i}`);
}

function item(shard: number): PushItem {
  return {
    tenant: 't',
    labels: [['service_name', SERVICE_OF.get(shard) ?? '']],
    profileId: '',
    format: 'pprof',
    surface: 'push',
    payload: new Uint8Array(0),
    arrivalMs: 0,
  };
}

function merge(selector: string): MergeRequest {
  return { tenant: 't', selector, profileType: 'a:b:c:d:e', startMs: 0, endMs: 1 };
}

describe('pushes', () => {
  test('go to the owners of their shards, and outcomes keep the order of the items', async () => {
    const log: string[] = [];
    const outcomes = await engineOf(log).push([item(3), item(0), item(3), item(2), item(0)]);
    expect(log).toEqual(['b push 3', 'a push 0', 'a push 2']);
    expect(outcomes.map((outcome) => 'entries' in outcome && outcome.entries)).toEqual([
      0, 0, 1, 0, 1,
    ]);
  });

  test('of a shard that fails are refused alone', async () => {
    const engine = engineOf([], {
      push: () => Promise.reject(new TephraError('worker_died', 'gone')),
    });
    const outcomes = await engine.push([item(0), item(1)]);
    expect(outcomes).toEqual([
      { outcome: 'refused', error: { reason: 'worker_died', detail: 'gone' } },
      { outcome: 'stored', entries: 0 },
    ]);
  });
});

describe('queries', () => {
  test('without a service ask all hosts, and one of them joins the parts', async () => {
    const log: string[] = [];
    await engineOf(log).flameGraph(merge('{a="b"}'));
    expect(log.slice(0, 2)).toEqual(['a names 0,2', 'b names 1,3']);
    expect(log[2]).toMatch(/^. graph of 2, 8192$/);
  });

  test('that name a service ask its shard only', async () => {
    const log: string[] = [];
    await engineOf(log).pprof(merge(`{service_name="${SERVICE_OF.get(2)}"}`));
    expect(log[0]).toBe('a frames 2');
    expect(log[1]).toMatch(/pprof of 1/);
  });

  test('that nothing can match ask nobody', async () => {
    const log: string[] = [];
    await engineOf(log).flameGraph(merge('{service_name="x",service_name="y"}'));
    expect(log).toEqual([expect.stringMatching(/graph of 0/)]);
  });

  test('about labels reach the shards of each selector, and all without a selector', async () => {
    const log: string[] = [];
    const engine = engineOf(log);
    const range = { tenant: 't', startMs: 0, endMs: 1 };
    const selectors = [0, 3].map((shard) => `{service_name="${SERVICE_OF.get(shard)}"}`);
    await engine.profileTypes({ ...range, selectors });
    await engine.labelNames({ ...range, selectors: [] });
    expect(log).toEqual(['a labels 0', 'b labels 3', 'a labels 0,2', 'b labels 1,3']);
  });

  test('that compare two types are refused', async () => {
    const right = { ...merge('{}'), profileType: 'x:b:c:d:e' };
    await expect(engineOf([]).diff({ left: merge('{}'), right })).rejects.toMatchObject({
      reason: 'incompatible_profiles',
    });
  });

  test('whose range ends before it starts are refused', async () => {
    const backwards = { ...merge('{}'), startMs: 2 };
    await expect(engineOf([]).flameGraph(backwards)).rejects.toMatchObject({
      reason: 'invalid_time_range',
    });
    await expect(engineOf([]).diff({ left: merge('{}'), right: backwards })).rejects.toMatchObject({
      reason: 'invalid_time_range',
    });
  });

  test('whose selector does not parse are refused', async () => {
    await expect(engineOf([]).flameGraph(merge('{'))).rejects.toMatchObject({
      reason: 'parse_error',
    });
  });
});

describe('jobs and the end', () => {
  test('jobs run one after the other, and tell the counters of all hosts', async () => {
    const log: string[] = [];
    const told: Record<string, number>[] = [];
    const engine = engineOf(log, {}, (counters) => told.push(counters));
    await Promise.all([engine.runJobs(1), engine.runJobs(2)]);
    expect(log.filter((line) => line.startsWith('a'))).toEqual([
      'a jobs 1',
      'a counters',
      'a jobs 2',
      'a counters',
    ]);
    expect(told[0]).toEqual({
      pushes: 4,
      worker_restarts: 0,
      queries_timed_out: 0,
      volumes_dropped: 0,
    });
  });

  test('jobs that fail do not keep the next from running', async () => {
    const log: string[] = [];
    const engine = engineOf(log, {
      runJobs: (nowMs) =>
        nowMs === 1 ? Promise.reject(new TephraError('storage_full', 'x')) : Promise.resolve(),
    });
    await expect(engine.runJobs(1)).rejects.toMatchObject({ reason: 'storage_full' });
    await engine.runJobs(2);
  });

  test('volumes past their retention are dropped when no host holds them', async () => {
    const store = new MemoryBlobStore();
    const names = [
      'raw/20260301-00/f',
      'raw/20260301-06/f',
      'raw/20260320-00/f',
      'minutes/20260101/b',
    ];
    for (const name of names) await store.put(`${name}/x`, new Uint8Array(1));
    const held = 'raw/20260301-06';
    const engine = engineOf([], { releaseVolumes: async () => [held] }, undefined, store);
    await engine.runJobs(Date.UTC(2026, 2, 20));
    expect(await store.listVolumes('raw')).toEqual([held, 'raw/20260320-00']);
    expect(await store.listVolumes('minutes')).toEqual([]);
    expect(await engine.counters()).toMatchObject({ volumes_dropped: 2 });
  });

  test('stop waits for what was accepted, and refuses what comes later', async () => {
    const log: string[] = [];
    let release = (): void => {};
    const engine = engineOf(log, {
      push: async (_shard, items) => {
        await new Promise<void>((resolve) => (release = resolve));
        log.push('pushed');
        return items.map(() => ({ outcome: 'duplicate' }));
      },
    });
    const accepted = engine.push([item(0)]);
    const stopped = engine.stop();
    await expect(engine.push([item(0)])).rejects.toMatchObject({ reason: 'draining' });
    await expect(engine.flameGraph(merge('{}'))).rejects.toMatchObject({ reason: 'draining' });
    await expect(engine.runJobs(1)).rejects.toMatchObject({ reason: 'draining' });
    release();
    expect(await accepted).toEqual([{ outcome: 'duplicate' }]);
    await stopped;
    expect(log).toEqual(['pushed', 'a stop', 'b stop']);
    await engine.stop();
  });
});
