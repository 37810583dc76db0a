/** `npm run fuzz -- TARGET [--executions N] [--seed N]`: the long form of the fuzz tests. */
import { parseArgs } from 'node:util';
import { fuzz } from './fuzz.ts';
import { TARGETS } from './targets.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    executions: { type: 'string', default: '1000000' },
    seed: { type: 'string', default: '1' },
  },
});
const names = positionals.length > 0 ? positionals : Object.keys(TARGETS);
for (const name of names) {
  const target = TARGETS[name];
  if (target === undefined) {
    process.stderr.write(`no target ${name}; there are ${Object.keys(TARGETS).join(', ')}\n`);
    process.exitCode = 2;
    continue;
  }
  const startedMs = performance.now();
  const executions = Number(values.executions);
  const { accepted, refused, slowestMs } = fuzz(target(), {
    executions,
    seed: Number(values.seed),
    slowMs: 1_000,
  });
  const seconds = (performance.now() - startedMs) / 1_000;
  const reasons = [...refused].sort(([, a], [, b]) => b - a).map(([reason, n]) => `${reason} ${n}`);
  process.stdout.write(
    `fuzz ${name}: ${executions} executions from seed ${values.seed} in ${seconds.toFixed(1)} s, ` +
      `${accepted} accepted, slowest ${slowestMs.toFixed(1)} ms; refused: ${reasons.join(', ')}\n`,
  );
}
