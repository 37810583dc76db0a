import { existsSync } from 'node:fs';
import { afterEach, describe, expect, test } from '@jest/globals';
import { systemClock, systemTimers } from '../../src/base/clock.ts';
import { LIMITS } from '../../src/base/limits.ts';
import type { PushItem } from '../../src/ingest/push.ts';
import type { HostHandle } from '../../src/shards/host-handle.ts';
import { startWorker } from '../../src/shards/worker-handle.ts';
import type { BlobStore } from '../../src/storage/blob-store/contract.ts';
import { MemoryBlobStore } from '../../src/storage/blob-store/memory.ts';
import type { Scratch } from '../../src/storage/scratch/scratch.ts';
import { temporaryScratch } from '../support/scratch.ts';

const ENTRY = new URL('fake-worker.mjs', import.meta.url);
// The thread runs compiled code; pretest builds it.
const built = existsSync(new URL('../../dist/shards/rpc.js', import.meta.url));

const running: HostHandle[] = [];
afterEach(async () => {
  for (const handle of running.splice(0)) await handle.kill();
});

async function start(
  store: BlobStore = new MemoryBlobStore(),
  options: { restarts?: boolean; broken?: boolean; scratch?: Scratch } = {},
): Promise<HostHandle> {
  let last = 1;
  const handle = await startWorker({
    entry: ENTRY,
    store,
    scratch: options.scratch ?? temporaryScratch(),
    shards: [0, 3],
    shardCount: 4,
    limits: options.broken === true ? { ...LIMITS, queriesAtOnce: 0 } : LIMITS,
    incarnation: last,
    nextIncarnation: options.restarts === false ? undefined : async () => ++last,
    clock: systemClock,
    timers: systemTimers,
  });
  running.push(handle);
  return handle;
}

function item(tenant: string): PushItem {
  return {
    tenant,
    labels: [],
    profileId: '',
    format: 'pprof',
    surface: 'push',
    payload: Uint8Array.of(1, 2, 3),
    arrivalMs: 0,
  };
}

(built ? describe : describe.skip)('a host in a thread', () => {
  test('answers, and reaches the store of the main thread', async () => {
    const store = new MemoryBlobStore();
    const { api } = await start(store);
    const push = item('a');
    expect(await api.push(3, [push])).toEqual([{ outcome: 'stored', entries: 1 }]);
    expect(await store.get('raw/20260314-00/f/3')).toEqual(Uint8Array.of(1, 2, 3));
    expect(push.payload.byteLength).toBe(3);
  });

  test.each(['die', 'throw'])(
    'that ends (%s) fails its pending calls, and is started again under a new incarnation',
    async (tenant) => {
      const handle = await start();
      const pending = handle.api.push(0, [item('die-after-put')]);
      // The one that brings the thread down may be answered before it falls.
      void handle.api.push(0, [item(tenant)]).catch(() => {});
      await expect(pending).rejects.toMatchObject({ reason: 'worker_died' });
      expect(await handle.api.counters()).toEqual({ incarnation: 2 });
      expect(handle.restarts).toBe(1);
    },
  );

  test('that ends leaves nothing in the scratch but what was taken', async () => {
    const scratch = temporaryScratch();
    const { api } = await start(undefined, { scratch });
    await api.push(0, [item('scratch')]);
    await api.push(0, [item('scratch')]);
    expect(scratch.files).toBe(2);
    const taken = scratch.take(1);
    await expect(api.push(0, [item('die')])).rejects.toMatchObject({ reason: 'worker_died' });
    expect(scratch.files).toBe(1);
    const into = new Uint8Array(4);
    expect(await taken.read(0, into)).toBe(3);
    expect(into).toEqual(Uint8Array.of(1, 2, 3, 0));
    taken.close();
    expect(scratch.files).toBe(0);
  });

  test('is started again only after what it had under way in the store has ended', async () => {
    const events: string[] = [];
    const inner = new MemoryBlobStore();
    const store = new Proxy<BlobStore>(inner, {
      get(target, name: keyof BlobStore) {
        if (name === 'list') {
          return (prefix: string) => {
            events.push('list');
            return target.list(prefix);
          };
        }
        if (name === 'put') {
          return async (key: string, bytes: Uint8Array) => {
            events.push('put begins');
            await new Promise((resolve) => setTimeout(resolve, 150));
            await target.put(key, bytes);
            events.push('put ends');
          };
        }
        return target[name].bind(target);
      },
    });
    const { api } = await start(store);
    await expect(api.push(0, [item('die-after-put')])).rejects.toMatchObject({
      reason: 'worker_died',
    });
    await api.counters();
    expect(events).toEqual(['list', 'put begins', 'put ends', 'list']);
  });

  test('stays dead where there is no number for the next one', async () => {
    const { api } = await start(new MemoryBlobStore(), { restarts: false });
    await expect(api.push(0, [item('die')])).rejects.toMatchObject({ reason: 'worker_died' });
    await expect(api.counters()).rejects.toMatchObject({ reason: 'worker_died' });
  });

  test('that cannot open fails the start', async () => {
    await expect(start(new MemoryBlobStore(), { broken: true })).rejects.toMatchObject({
      reason: 'ledger_gap',
    });
  });

  test('ends with stop, and is not started again', async () => {
    const handle = await start();
    await handle.api.stop();
    await expect(handle.api.counters()).rejects.toMatchObject({ reason: 'worker_died' });
    expect(handle.restarts).toBe(0);
  });
});
