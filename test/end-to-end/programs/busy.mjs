/**
 * Spends CPU and memory under known names and writes what `@datadog/pprof` saw of it:
 * `node busy.mjs WALL_FILE HEAP_FILE`.
 */
import { writeFileSync } from 'node:fs';
import { encode, heap, time } from '@datadog/pprof';
import { hashForAWhile, keepObjects } from './work.mjs';

const [wallFile, heapFile] = process.argv.slice(2);

heap.start(4096, 64);
time.start({ intervalMicros: 5_000, durationMillis: 60_000, withContexts: true });
for (const handler of ['search', 'checkout']) {
  time.setContext({ handler });
  hashForAWhile(250);
}
time.setContext({});
keepObjects(20_000);
const wall = time.stop(false, ({ context }) => context?.context ?? {});
writeFileSync(wallFile, await encode(wall));
writeFileSync(heapFile, await encode(heap.profile()));
heap.stop();
