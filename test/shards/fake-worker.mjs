/** A worker whose host does what the tests tell it by the tenant of a push. */
import { workerData } from 'node:worker_threads';
import { TephraError } from '../../dist/base/errors.js';
import { connect, serve } from '../../dist/shards/rpc.js';

const { hostPort, storePort, scratchPort, options } = workerData;
const store = connect(storePort).api;
const scratch = connect(scratchPort, ['append']).api;

serve(hostPort, {
  async open() {
    if (options.limits.queriesAtOnce === 0) throw new TephraError('ledger_gap', 'told to');
    await store.list('raw/');
  },
  async push(shard, items) {
    const [{ tenant }] = items;
    if (tenant === 'die') process.exit(1);
    if (tenant === 'die-after-put') {
      void store.put('raw/20260314-00/f/x', Uint8Array.of(1));
      // The message has to leave first.
      setTimeout(() => process.exit(1), 20);
      return new Promise(() => {});
    }
    if (tenant === 'scratch') {
      const file = await scratch.create();
      const buffer = Uint8Array.of(1, 2, 3, 4);
      const back = await scratch.append(file, buffer, 3);
      if (buffer.byteLength !== 0 || back.byteLength !== 4) throw new Error('it was copied');
      return [];
    }
    if (tenant === 'throw') setTimeout(() => null.x, 0);
    await store.put(`raw/20260314-00/f/${shard}`, items[0].payload);
    return items.map(() => ({ outcome: 'stored', entries: 1 }));
  },
  async counters() {
    return { incarnation: options.incarnation };
  },
  async stop() {},
});
