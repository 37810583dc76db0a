/**
 * Works behind the shim with one fault a case: faults.child.ts ROOT SEED STEPS PLAN K STRIDE
 * (PLAN: `call:errno` by commas; K: the first k of the first of them). Tells each case as a line of
 * JSON, before it begins and after it ended.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { arm, disarm, hasFired, isViolated, type Call, type Errno } from './shim.ts';
import { newBook, verify, work, type Doing } from './workload.ts';

/** No workload makes more calls of a kind. */
const CALLS_MAX = 5_000;

const [root = '', seed = '1', steps = '10', plan = '', first = '1', stride = '1'] =
  process.argv.slice(2);
const tell = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`);

// The product's own timers keep no process alive.
const awake = setInterval(() => {}, 1_000);
mkdirSync(root, { recursive: true });
let from = Number(first);
for (const pair of plan.split(',')) {
  const [call, errno] = pair.split(':') as [Call, Errno];
  for (let k = from; k <= CALLS_MAX; k += Number(stride)) {
    tell({ begins: true, call, errno, k });
    const path = join(root, `case`);
    rmSync(path, { recursive: true, force: true });
    const complaints: string[] = [];
    const book = newBook();
    let doing: Doing | undefined;
    let during: Doing | undefined;
    disarm();
    arm(call, k, errno);
    try {
      await work(path, Number(seed), Number(steps), book, {
        complain: (text) => complaints.push(text),
        begin(what) {
          if (hasFired()) during ??= doing;
          doing = what;
        },
      });
    } catch (error) {
      complaints.push(`the workload ended: ${String(error)}`);
    }
    const [fired, violated] = [hasFired(), isViolated()];
    disarm();
    if (violated) complaints.push('a file was written on after it had failed');
    complaints.push(...(await verify(path, book)));
    tell({ call, errno, k, fired, during: during ?? doing, complaints: complaints.slice(0, 4) });
    if (!fired) break;
  }
  from = 1;
}
clearInterval(awake);
