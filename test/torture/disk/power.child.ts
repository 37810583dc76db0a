/** Works behind the shim: power.child.ts PATH SEED STEPS [unsynced] */
import { withoutSync } from './power-unsynced.ts';
import { note } from './shim.ts';
import { newBook, work } from './workload.ts';

const [path = '', seed = '1', steps = '60', mode] = process.argv.slice(2);
if (mode === 'unsynced') withoutSync();
const complain = (text: string): void => {
  process.stdout.write(`${text}\n`);
  process.exitCode = 1;
};
// The product's own timers keep no process alive.
const awake = setInterval(() => {}, 1_000);
await work(path, Number(seed), Number(steps), newBook(), { note, complain });
clearInterval(awake);
