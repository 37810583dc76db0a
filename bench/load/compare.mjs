import assert from 'node:assert';
import { createHash } from 'node:crypto';
import { connect } from 'tephradb/client';
import { sortedTexts } from '../../dist/base/text-order.js';
import { HOUR_MS, MINUTE_MS } from '../../dist/base/time.js';

/** Nodes of an answer at most: nothing is folded. */
const ALL = 1_048_576;
const TYPES = [
  'process_cpu:cpu:nanoseconds:cpu:nanoseconds',
  'process_cpu:samples:count:cpu:nanoseconds',
];

/**
 * What a server says of a load, whatever way it came: of each type the sum of every function tree and of every
 * stack of full frames, and the sums by pod and minute (beyond six hours: hour), each as a total and a hash. Throws where an answer is
 * not exact or has another sum than was sent.
 *
 * @param {import('./loads.mjs').Load} load
 */
export async function contentsOf(load, url) {
  const client = connect({ url, timeoutMs: 0 });
  const { startMs: from, endMs: to, sum, selector } = widest(load.questions);
  const stepMs = to - from > 6 * HOUR_MS ? HOUR_MS : MINUTE_MS;
  const contents = [];
  for (const profileType of TYPES) {
    const selection = { profileType, selector, from, to };
    const tree = await client.tree(selection, { maxNodes: ALL });
    const { profile, exactness } = await client.pprof(selection);
    const grouped = { stepMs, groupBy: ['pod', 'version'] };
    // A point stands at the end of its step.
    const series = await client.series({ ...selection, to: to + stepMs }, grouped);
    for (const answer of [tree, { exactness }, series]) {
      const { exact, foldedValue } = answer.exactness;
      assert(exact && foldedValue === 0n, `an answer of ${url} is not exact`);
    }
    if (profileType === TYPES[0]) assert.equal(tree.root.total, sum, 'the sum of all');
    contents.push(
      [`${profileType}, tree`, `${tree.root.total} ${hashOfSet(treeLines(tree.root))}`],
      [`${profileType}, frames`, hashOfSet(frameLines(profile))],
      [`${profileType}, points`, hashOfSet(pointLines(series.lines))],
    );
  }
  client.close();
  return contents;
}

/** Throws unless both ways gave the same. */
export function assertEqual([first, ...others]) {
  for (const other of others) assert.deepEqual(other.contents, first.contents);
}

/** The question over the longest time. */
function widest(questions) {
  return questions.toSorted((a, b) => b.endMs - b.startMs - (a.endMs - a.startMs))[0];
}

/** The path and own value of each node; hashed paths, since trees are large. */
function* treeLines(root) {
  const work = [[root, '']];
  for (let step = work.pop(); step !== undefined; step = work.pop()) {
    const [{ name, self, children }, above] = step;
    const path = hashOf([above, name]);
    if (self !== 0n) yield `${path} ${self}`;
    for (const child of children) work.push([child, path]);
  }
}

/** Stacks of functions with files and lines, and their values. */
function* frameLines({ stringTable, function: functions, location, sample }) {
  const text = (index) => stringTable[Number(index)];
  const nameOf = new Map(
    functions.map((one) => [one.id, `${text(one.name)} ${text(one.filename)}`]),
  );
  const frameOf = new Map(
    location.map(({ id, line }) => [
      id,
      line.map(({ functionId, line: at }) => `${nameOf.get(functionId)}:${at}`).join('<'),
    ]),
  );
  const sums = new Map();
  for (const { locationId, value } of sample) {
    const stack = hashOf(locationId.map((id) => frameOf.get(id)));
    sums.set(stack, (sums.get(stack) ?? 0n) + value[0]);
  }
  for (const [stack, value] of sums) yield `${stack} ${value}`;
}

function* pointLines(lines) {
  for (const { labels, points } of lines) {
    for (const { timeMs, sum } of points) yield `${JSON.stringify(labels)} ${timeMs} ${sum}`;
  }
}

/** A hash of lines, whatever their order. */
function hashOfSet(lines) {
  return hashOf(sortedTexts(lines));
}

function hashOf(lines) {
  const hash = createHash('sha256');
  for (const line of lines) hash.update(`${line}\n`);
  return hash.digest('base64url').slice(0, 22);
}
