/** Works in a mounted image: power-image.child.ts PATH SEED STEPS NOTES [unsynced]. Notes go to a file. */
import { appendFileSync } from 'node:fs';
import { withoutSync } from './power-unsynced.ts';
import { newBook, work } from './workload.ts';

const [path = '', seed = '1', steps = '60', notes = '', mode] = process.argv.slice(2);
if (mode === 'unsynced') withoutSync();
const note = (text: string): void => appendFileSync(notes, `${text}\n`);
// The product's own timers keep no process alive.
const awake = setInterval(() => {}, 1_000);
await work(path, Number(seed), Number(steps), newBook(), {
  note,
  complain: (text) => {
    process.stdout.write(`${text}\n`);
    process.exitCode = 1;
  },
});
clearInterval(awake);
