import { ByteWriter } from '../../dist/base/bytes.js';
import { seededRandom } from '../../dist/base/random.js';
import { atOnce } from '../../dist/base/steps.js';
import { StackResolver } from '../../dist/ingest/resolve.js';
import { PprofReader } from '../../dist/profile/pprof/read.js';
import { encodeFlameGraph } from '../../dist/query/encode/flame-graph.js';
import { encodePprof } from '../../dist/query/encode/pprof.js';
import { frameTreeOf } from '../../dist/query/tree/join-frames.js';
import { joinNameTrees } from '../../dist/query/tree/join.js';
import { nameTreeOf } from '../../dist/query/tree/name-tree-of.js';
import { readEntriesHeader } from '../../dist/storage/column/decode.js';
import { encodeEntries } from '../../dist/storage/column/encode.js';
import { ValueSums } from '../../dist/storage/column/sum.js';
import { Dictionary } from '../../dist/storage/dictionary/dictionary.js';
import { NO_LENGTHS } from '../../dist/storage/dictionary/lengths.js';
import { copyTree } from '../copy-tree.mjs';
import { Fleet } from '../fleet.mjs';

const GRAIN = 10_000_000n;
const MAX_NODES = 8_192;
const TYPE = { name: 'process_cpu', type: 'cpu', unit: 'nanoseconds' };
const HEADER = {
  type: { ...TYPE, periodType: 'cpu', periodUnit: 'nanoseconds' },
  timeNanos: 0n,
  durationNanos: 0n,
  period: 0n,
};

/** The stages of a push and of a query, each over the same seeded load of two services: [name, function]. */
export function makeStages(columnCount) {
  const fleet = new Fleet({ services: 2, pods: 1 });
  const random = seededRandom(1);
  const reader = new PprofReader();
  const resolver = new StackResolver();
  const sides = [0, 1].map((service) => {
    const dictionary = new Dictionary(random);
    const columns = [];
    for (let minute = 0; minute < columnCount; minute++) {
      const { payload } = fleet.profile(service, 0, minute, { packed: false });
      const profile = new PprofReader().read(payload);
      const entries = entriesOf(resolver.resolve(profile, dictionary), profile);
      const writer = new ByteWriter();
      encodeEntries(writer, entries);
      columns.push({ payload, entries, bytes: writer.finish() });
    }
    return { dictionary, columns };
  });
  const [{ dictionary, columns }] = sides;
  const [{ payload, entries }] = columns;
  const read = new PprofReader().read(payload);
  const sumsOf = (side) => {
    const sums = new ValueSums(() => side.dictionary.lengths.stacks);
    for (const { bytes } of side.columns) {
      const header = readEntriesHeader(bytes, 0, bytes.byteLength);
      sums.add(bytes, header, { grain: GRAIN, total: BigInt(fleet.draws) * GRAIN, column: 0 });
    }
    return sums.finish();
  };
  const parts = sides.map((side) => ({ source: side.dictionary, sums: sumsOf(side) }));
  const trees = parts.map(({ source, sums }) => atOnce(nameTreeOf(source, sums)));
  const frameTree = atOnce(frameTreeOf(parts));
  return [
    ['read a pprof', () => reader.read(payload)],
    ['find its stacks', () => resolver.resolve(read, dictionary)],
    ['find its stacks, all new', () => resolver.resolve(read, new Dictionary(random))],
    ['encode its entries', () => encodeEntries(new ByteWriter(), entries)],
    ['encode the dictionary', () => dictionary.encodeSlice(NO_LENGTHS, dictionary.lengths)],
    [`add up ${columnCount} columns`, () => sumsOf(sides[0])],
    ['tree by names', () => atOnce(nameTreeOf(dictionary, parts[0].sums))],
    ['join two trees by names', () => atOnce(joinNameTrees(trees))],
    ['encode a flame graph', () => atOnce(encodeFlameGraph(copyTree(trees[0]), MAX_NODES))],
    ['tree by frames', () => atOnce(frameTreeOf(parts))],
    ['encode a pprof', () => atOnce(encodePprof(frameTree, HEADER))],
  ];
}

/** Ticks by ascending stack id. */
function entriesOf(stackOf, profile) {
  const ticks = new Map();
  for (let sample = 0; sample < profile.sampleCount; sample++) {
    const stack = stackOf[sample];
    ticks.set(stack, (ticks.get(stack) ?? 0) + 1 + (sample % 7));
  }
  const stacks = Uint32Array.from(ticks.keys()).sort();
  return { stacks, ticks: [Float64Array.from(stacks, (id) => ticks.get(id))] };
}
