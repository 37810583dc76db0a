/**
 * Opens the data directory of its argument, puts blobs in four lanes until it is killed, and prints
 * the key of each put that was acknowledged.
 */
import { systemClock, systemTimers } from '../../../src/base/clock.ts';
import { systemFileSystem } from '../../../src/base/file-system.ts';
import { systemRandom } from '../../../src/base/random.ts';
import { openDataDirectory } from '../../../src/storage/data-directory/data-directory.ts';

const directory = await openDataDirectory({
  path: process.argv[2] ?? '',
  fs: systemFileSystem,
  clock: systemClock,
  timers: systemTimers,
  random: systemRandom,
});
await directory.announce('127.0.0.1:4040');
process.stdout.write(`open ${directory.incarnation}\n`);

async function lane(number: number): Promise<void> {
  for (let i = 0; ; i++) {
    // The bytes follow from the key, so that the reader can tell whether they are right.
    const key = `raw/${number % 2}/f/${directory.incarnation}/${number}/${1000 + i}`;
    const blob = new Uint8Array((i * 7919) % 150_000).fill(i % 251);
    await directory.store.put(key, blob, [`${key}/u`]);
    process.stdout.write(`${key} ${i}\n`);
  }
}

await Promise.all([0, 1, 2, 3].map(lane));
