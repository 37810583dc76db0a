/**
 * Runs the shop for so many seconds, with the agent of `tephradb` if it is imported:
 *
 *     TEPHRA_URL=http://127.0.0.1:4040 node --import tephradb/agent examples/keep-shop.mjs 5 [--slow]
 */
import { keepShop } from './shop.mjs';

const orders = await keepShop(Number(process.argv[2] ?? 5), process.argv.includes('--slow'));
console.log(`${orders} orders`);
