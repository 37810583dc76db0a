/**
 * Which test files start first: those that take long, or they would end alone when all others are done. A fresh
 * clone knows no durations, and the size of a file says little about them.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

// Of the package that jest itself depends on; CommonJS, so that its class is the default export.
const fromJest = createRequire(createRequire(import.meta.url).resolve('jest'));
const { default: TestSequencer } = fromJest('@jest/test-sequencer');

/** Files below test/ that take 5 s or more of a quiet machine, longest first. */
const LONG = [
  'docs/snippets',
  'bench/quick',
  'end-to-end/server',
  'page/browser',
  'model/model',
  'package/tarball',
  'agent/outage',
  'end-to-end/python-agent',
  'cli/examples',
  'cli/stream',
  'contract/rows/profiles',
  'end-to-end/corpus',
  'end-to-end/clients',
  'end-to-end/tools',
  'end-to-end/pyroscope-agent',
  'server/answer/spilled-answers',
  'contract/port',
  'server/port/hostile',
  'torture/damage',
  'agent/self-profile',
  'torture/simulation',
  'agent/spans',
  'torture/kill',
  'torture/power',
  'torture/faults',
  'end-to-end/programs',
  'fuzz/fuzz',
  'model/stream/stream',
  'contract/rows/messages',
  'contract/rows/queries',
  'contract/catalogue',
].map((name) => join(import.meta.dirname, `${name}.test.ts`));

const gone = LONG.filter((path) => !existsSync(path));
if (gone.length > 0) throw new Error(`test/sequencer.mjs names what is not there: ${gone.join()}`);

/** Jest's order, with the long files in front. */
export default class LongestFirst extends TestSequencer {
  async sort(tests) {
    const place = ({ path }) => {
      const at = LONG.indexOf(path);
      return at < 0 ? LONG.length : at;
    };
    const sorted = await super.sort(tests);
    return sorted.toSorted((a, b) => place(a) - place(b));
  }
}
