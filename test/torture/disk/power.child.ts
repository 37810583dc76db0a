/** Works behind the shim: power.child.ts PATH SEED STEPS [unsynced] */
import { Level } from 'level';
import { note } from './shim.ts';
import { newBook, work } from './workload.ts';

const [path = '', seed = '1', steps = '60', mode] = process.argv.slice(2);
if (mode === 'unsynced') {
  // The negative control: what every batch asks for is not asked for.
  const batch = Level.prototype.batch as (...args: unknown[]) => unknown;
  Object.assign(Level.prototype, {
    batch(this: unknown, operations: unknown, options: object) {
      return batch.call(this, operations, { ...options, sync: false });
    },
  });
}
const complain = (text: string): void => {
  process.stdout.write(`${text}\n`);
  process.exitCode = 1;
};
// The product's own timers keep no process alive.
const awake = setInterval(() => {}, 1_000);
await work(path, Number(seed), Number(steps), newBook(), { note, complain });
clearInterval(awake);
