/**
 * Measures CPU time (user + system of this process), which a busy machine distorts less than wall
 * time. One repetition runs the function often enough to last `repetitionMs`.
 *
 * @typedef {{ name: string, medianMs: number, p10: number, p90: number, runs: number }} Measure
 */

/**
 * CPU time of one call of `fn` in milliseconds: median and spread over repetitions.
 *
 * @param {string} name
 * @param {() => unknown} fn
 * @param {{ repetitions?: number, repetitionMs?: number, warmMs?: number }} [options]
 * @returns {Measure}
 */
export function measure(name, fn, options = {}) {
  const [result] = measureTogether([[name, fn]], options);
  return result;
}

/**
 * Measures several functions in turn, one repetition of each after the other, so that what else
 * happens on the machine meets all of them alike: for ratios.
 *
 * @param {[name: string, fn: () => unknown][]} entries
 * @param {{ repetitions?: number, repetitionMs?: number, warmMs?: number }} [options]
 * @returns {Measure[]}
 */
export function measureTogether(entries, options = {}) {
  const { repetitions = 15, repetitionMs = 40, warmMs = 150 } = options;
  const calls = entries.map(([, fn]) => warm(fn, warmMs, repetitionMs));
  const times = entries.map(() => /** @type {number[]} */ ([]));
  for (let repetition = 0; repetition < repetitions; repetition++) {
    entries.forEach(([, fn], index) => {
      const start = process.cpuUsage();
      for (let call = 0; call < calls[index]; call++) sink = fn();
      const spent = process.cpuUsage(start);
      times[index].push((spent.user + spent.system) / 1_000 / calls[index]);
    });
  }
  return entries.map(([name], index) => {
    const sorted = times[index].sort((a, b) => a - b);
    const at = (quantile) => sorted[Math.round(quantile * (sorted.length - 1))];
    return { name, medianMs: at(0.5), p10: at(0.1), p90: at(0.9), runs: calls[index] };
  });
}

/** A line of a report. */
export function formatMeasure({ name, medianMs, p10, p90 }) {
  return `${name}: ${medianMs.toFixed(4)} ms (p10 ${p10.toFixed(4)}, p90 ${p90.toFixed(4)})`;
}

// Keeps results alive, so that no call is optimised away.
let sink;
export const keptAlive = () => sink;

/** Runs `fn` for `warmMs` and returns how many calls last `repetitionMs`. */
function warm(fn, warmMs, repetitionMs) {
  const start = performance.now();
  let calls = 0;
  do {
    sink = fn();
    calls++;
  } while (performance.now() - start < warmMs || calls < 3);
  return Math.max(1, Math.round((calls * repetitionMs) / (performance.now() - start)));
}
