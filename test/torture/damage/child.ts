/**
 * child.ts FOLDER FROM TO TRY: damages a copy of FOLDER/whole for each seed and writes one line of JSON
 * for it. A process of its own, because LevelDB may end it; then the same seed is tried again on what
 * that left (TRY > 1), as a server that is started again.
 */
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Dice } from '../../model/dice.ts';
import { check } from './check.ts';
import type { Marker } from './fixture.ts';
import { harmSome, type Harm } from './harm.ts';

const [folder = '', from = '0', to = '0', attempt = '1'] = process.argv.slice(2);
const markers = JSON.parse(readFileSync(join(folder, 'markers.json'), 'utf8')) as Marker[];
const place = join(folder, 'harmed');
const memory = join(folder, 'harm.json');

for (let seed = Number(from); seed <= Number(to); seed++) {
  const isAgain = seed === Number(from) && Number(attempt) > 1;
  let done: Harm[];
  if (isAgain) {
    done = JSON.parse(readFileSync(memory, 'utf8')) as Harm[];
  } else {
    rmSync(place, { recursive: true, force: true });
    cpSync(join(folder, 'whole'), place, { recursive: true });
    done = harmSome(place, new Dice(seed));
    writeFileSync(memory, JSON.stringify(done));
  }
  const verdict = await check(place, markers, done, isAgain);
  process.stdout.write(`${JSON.stringify({ seed, harms: done, ...verdict })}\n`);
}
