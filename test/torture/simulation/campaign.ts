import { replayOf, seedsOf, type Campaign } from '../campaign.ts';
import { simulate } from './history.ts';
import { watch } from './watchdog.ts';

/** P10 and P14: one process, its time, its store and its order from a seed. */
export const simulation: Campaign = {
  name: 'simulation',
  what: 'seeded order of every store operation, timer and fault; an oracle after each answer',
  short: { from: 1, to: 100 },
  long: { from: 1, to: 100_000 },
  slice: 5_000,
  async run({ seeds, long, failuresMax, tell }) {
    const figures: Record<string, number> = { histories: 0 };
    const failures: string[] = [];
    const watchdog = watch('simulation');
    for (const seed of seedsOf(seeds)) {
      watchdog.begin(seed);
      try {
        const counts = await simulate(seed);
        for (const [name, count] of Object.entries(counts)) {
          figures[name] = (figures[name] ?? 0) + count;
        }
      } catch (error) {
        failures.push(`${replayOf('simulation', seed)}\n${(error as { message: string }).message}`);
      }
      figures['histories'] = (figures['histories'] ?? 0) + 1;
      if (long && seed % 1_000 === 0) tell(`  ${seed}: ${failures.length} broken`);
      if (failures.length >= failuresMax) break;
    }
    await watchdog.stop();
    return { figures, failures };
  },
};
