/**
 * How fast columns are summed: `node bench/merge-kernel.mjs [--quick]` after `npm run build`.
 *
 * K minute columns of about E entries each, drawn by Zipf (exponent 1.0) from a closed universe of
 * 30,000 stacks whose ids are given in first-seen order, are added to one accumulator. Measured is
 * CPU time (user + system) of this process, header parsing and scaling included, disk excluded; the
 * sum is checked. The unit is million entries a second on one core.
 */
import assert from 'node:assert';
import { ByteWriter } from '../dist/base/bytes.js';
import { readEntriesHeader } from '../dist/storage/column/decode.js';
import { encodeEntries } from '../dist/storage/column/encode.js';
import { ValueSums } from '../dist/storage/column/sum.js';
import { measure } from './measure.mjs';

const STACKS = 30_000;
const quick = process.argv.includes('--quick');
const OPTIONS = quick
  ? { repetitions: 3, repetitionMs: 10, warmMs: 10 }
  : { repetitions: 15, repetitionMs: 100, warmMs: 300 };
/** Columns and draws a column; the draws give the entries named in the table. */
const CASES = quick
  ? [[60, 700]]
  : [
      [60, 700],
      [60, 12_000],
      [1000, 3_500],
      [1000, 12_000],
    ];

/** Numbers in [0, 1), the same in each run. */
function seeded(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

function makeColumns(count, draws) {
  const random = seeded(count * 31 + draws);
  const cumulative = new Float64Array(STACKS);
  let sum = 0;
  for (let rank = 0; rank < STACKS; rank++) cumulative[rank] = sum += 1 / (rank + 1);
  const idOfRank = new Int32Array(STACKS).fill(-1);
  let ids = 0;
  const columns = [];
  for (let c = 0; c < count; c++) {
    const ticks = new Map();
    for (let d = 0; d < draws; d++) {
      const at = random() * sum;
      let low = 0;
      let high = STACKS - 1;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if (cumulative[middle] < at) low = middle + 1;
        else high = middle;
      }
      if (idOfRank[low] < 0) idOfRank[low] = ids++;
      ticks.set(idOfRank[low], (ticks.get(idOfRank[low]) ?? 0) + 1);
    }
    const stacks = Uint32Array.from(ticks.keys()).sort();
    const writer = new ByteWriter();
    encodeEntries(writer, { stacks, ticks: [Float64Array.from(stacks, (id) => ticks.get(id))] });
    columns.push({ bytes: writer.finish(), entries: stacks.length, total: draws });
  }
  return columns;
}

function sumOnce(columns) {
  const sums = new ValueSums(() => STACKS);
  for (const { bytes, total } of columns) {
    const header = readEntriesHeader(bytes, 0, bytes.byteLength);
    sums.add(bytes, header, { grain: 10_000_000n, total: BigInt(total) * 10_000_000n, column: 0 });
  }
  return sums.finish();
}

console.log('columns x entries   M entries/s/core: median (p10 - p90)   bytes an entry');
for (const [count, draws] of CASES) {
  const columns = makeColumns(count, draws);
  const entries = columns.reduce((sum, column) => sum + column.entries, 0);
  const bytes = columns.reduce((sum, column) => sum + column.bytes.byteLength, 0);
  const { lo, hi } = sumOnce(columns);
  let total = 0n;
  for (let i = 0; i < lo.length; i++) total += BigInt(lo[i]) + (BigInt(hi?.[i] ?? 0) << 32n);
  assert.equal(total, BigInt(count * draws) * 10_000_000n);

  const { medianMs, p10, p90 } = measure('sum', () => sumOnce(columns), OPTIONS);
  const rate = (ms) => (entries / ms / 1000).toFixed(0);
  const name = `${count} x ${Math.round(entries / count)}`.padEnd(20);
  const figures = `${rate(medianMs)} (${rate(p90)} - ${rate(p10)})`.padEnd(43);
  console.log(`${name}${figures}${(bytes / entries).toFixed(2)}`);
}
