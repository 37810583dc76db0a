/**
 * Profiles the shop with @datadog/pprof and writes a pprof file:
 *
 *     node examples/profile-shop.mjs before.pb.gz
 *     node examples/profile-shop.mjs after.pb.gz --slow
 */
import { writeFile } from 'node:fs/promises';
import { encode, time } from '@datadog/pprof';
import { keepShop } from './shop.mjs';

const [file, flag] = process.argv.slice(2);
if (file === undefined) {
  console.error('usage: node examples/profile-shop.mjs FILE [--slow]');
  process.exit(2);
}
time.start({ intervalMicros: 10_000, durationMillis: 3_000 });
const orders = await keepShop(3, flag === '--slow');
await writeFile(file, await encode(time.stop()));
console.log(`${orders} orders in 3 s, profiled into ${file}`);
