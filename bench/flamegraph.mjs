/**
 * CPU time of a flame graph out of one dictionary: scattering the sums of 30,000 stacks to the name
 * tree, totals, threshold, pruning to 8,192 nodes; and with the protobuf bytes.
 *
 *     npm run build && node bench/flamegraph.mjs [--tiny]
 *
 * `--tiny` runs everything once or twice on a small tree, to see that it runs. Otherwise it fails
 * above 6 ms without and 12 ms with encoding (median).
 */
import { seededRandom } from '../dist/base/random.js';
import { atOnce } from '../dist/base/steps.js';
import { encodeDiff } from '../dist/query/encode/diff.js';
import { encodeFlameGraph } from '../dist/query/encode/flame-graph.js';
import { joinNameTrees } from '../dist/query/tree/join.js';
import { nameTreeOf, sidedTreeOf } from '../dist/query/tree/name-tree-of.js';
import { pruneTree } from '../dist/query/tree/prune.js';
import { copyTree } from './copy-tree.mjs';
import { formatMeasure, measure } from './measure.mjs';

const tiny = process.argv.includes('--tiny');
const options = tiny ? { repetitions: 2, repetitionMs: 1, warmMs: 5 } : { warmMs: 400 };
const STACKS = tiny ? 300 : 30_000;
const NODES_A_STACK = 7;
const NAMES = 12_000;
const MAX_NODES = 8_192;
const PRUNED_MS_MOST = 6;
const ENCODED_MS_MOST = 12;

/** A name tree in which every stack adds about seven nodes of its own, as measured on real data. */
function randomSource(seed) {
  const random = seededRandom(seed);
  const names = Array.from({ length: NAMES }, (_, i) => {
    return `github.com/shop/internal/package${i % 97}.(*Handler${i % 1_013}).method${i}`;
  });
  const count = STACKS * NODES_A_STACK;
  const parent = new Int32Array(count);
  const name = new Uint32Array(count);
  const ofStack = new Uint32Array(STACKS);
  for (let stack = 0, node = 0; stack < STACKS; stack++) {
    // Branches off somewhere in the tree so far, more often near its beginning.
    let at = node === 0 ? -1 : Math.floor((random.u32() / 2 ** 32) ** 3 * node);
    for (let i = 0; i < NODES_A_STACK; i++) {
      parent[node] = at;
      name[node] = random.u32() % NAMES;
      at = node++;
    }
    ofStack[stack] = at;
  }
  return { nameTree: () => ({ count, parent, name, ofStack }), nameText: (id) => names[id] };
}

/** Sums as profiles have them: most stacks were seen once or twice, few very often. */
function randomSums(seed) {
  const random = seededRandom(seed);
  const lo = Float64Array.from({ length: STACKS }, () => {
    return Math.ceil(1 / (random.u32() / 2 ** 32 + 1e-4)) * 10_000_000;
  });
  return { lo, hi: undefined };
}

const source = randomSource(1);
const sums = randomSums(2);
const wide = { lo: sums.lo, hi: Float64Array.from(sums.lo, () => 1) };
const tree = atOnce(nameTreeOf(source, sums));
const otherSums = randomSums(3);
const other = atOnce(nameTreeOf(source, otherSums));
console.log(`${STACKS} stacks, ${tree.parent.length} nodes, ${tree.names.length} names`);

const prune = (one) =>
  atOnce(pruneTree({ ...one, sides: [one.self], totals: [one.total] }, MAX_NODES));
const pruned = measure(
  'scatter, totals, threshold, prune',
  () => prune(atOnce(nameTreeOf(source, sums))),
  options,
);
const encoded = measure(
  'the same and encode',
  () => atOnce(encodeFlameGraph(atOnce(nameTreeOf(source, sums)), MAX_NODES)),
  options,
);
const others = [
  measure('  scatter alone', () => atOnce(nameTreeOf(source, sums)), options),
  measure('  copy of the tree', () => copyTree(tree), options),
  measure('  copy and prune', () => prune(copyTree(tree)), options),
  measure(
    '  copy, prune and encode',
    () => atOnce(encodeFlameGraph(copyTree(tree), MAX_NODES)),
    options,
  ),
  measure(
    'in two lanes',
    () => atOnce(encodeFlameGraph(atOnce(nameTreeOf(source, wide)), MAX_NODES)),
    options,
  ),
  measure('join of two trees', () => atOnce(joinNameTrees([tree, other])), options),
  measure(
    'diff of two sides',
    () => atOnce(encodeDiff(atOnce(sidedTreeOf(source, [sums, otherSums])), MAX_NODES)),
    options,
  ),
];
for (const result of [pruned, encoded, ...others]) console.log(formatMeasure(result));
console.log(`answer: ${atOnce(encodeFlameGraph(tree, MAX_NODES)).bytes.byteLength} bytes`);
if (!tiny && (pruned.medianMs > PRUNED_MS_MOST || encoded.medianMs > ENCODED_MS_MOST)) {
  console.error(`expected at most ${PRUNED_MS_MOST} ms and ${ENCODED_MS_MOST} ms`);
  process.exitCode = 1;
}
