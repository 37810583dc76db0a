/**
 * Runs the shop with the Pyroscope agent sending to Tephra, until Ctrl-C or for a number of seconds:
 *
 *     node examples/stream-shop.mjs [SECONDS] [--slow]
 *
 * The address is TEPHRA_URL, or http://127.0.0.1:4040.
 */
import Pyroscope from '@pyroscope/nodejs';
import { keepShop } from './shop.mjs';

const args = process.argv.slice(2);
const seconds = Number(args.find((arg) => /^\d+$/.test(arg)) ?? Number.MAX_SAFE_INTEGER / 2_000);
Pyroscope.init({
  serverAddress: process.env.TEPHRA_URL ?? 'http://127.0.0.1:4040',
  appName: 'shop',
  tags: { version: args.includes('--slow') ? 'slow' : 'fast' },
  flushIntervalMs: 5_000,
});
Pyroscope.start();
console.log('the shop is open; its profiles go out every 5 seconds');
const orders = await keepShop(seconds, args.includes('--slow'));
await Pyroscope.stop();
console.log(`${orders} orders`);
