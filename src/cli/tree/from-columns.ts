import { stringAt, type ProfileColumns } from '../../profile/columns.ts';
import type { CallNode } from './call-tree.ts';

interface Growing {
  readonly name: string;
  self: bigint;
  total: bigint;
  readonly children: Map<string, Growing>;
}

/** The call tree of one value column of a profile, by function names; inlined calls are frames too. */
export function treeOfColumns(columns: ProfileColumns, type: number): CallNode {
  const names = Array.from({ length: columns.functionCount }, (_, index) => {
    const name = stringAt(columns, columns.functionName[index] as number);
    return name === '' ? stringAt(columns, columns.functionSystemName[index] as number) : name;
  });
  const root: Growing = { name: 'total', self: 0n, total: 0n, children: new Map() };
  for (let sample = 0; sample < columns.sampleCount; sample++) {
    const at = type * columns.sampleCount + sample;
    const value = columns.wideValues?.[at] ?? BigInt(columns.values[at] as number);
    if (value === 0n) continue;
    let node = root;
    node.total += value;
    for (const name of framesOf(columns, sample, names)) {
      let child = node.children.get(name);
      if (child === undefined) {
        child = { name, self: 0n, total: 0n, children: new Map() };
        node.children.set(name, child);
      }
      node = child;
      node.total += value;
    }
    node.self += value;
  }
  return finished(root);
}

/** Names of the frames of a sample, root first. Locations and lines lie leaf first. */
function* framesOf(
  columns: ProfileColumns,
  sample: number,
  names: readonly string[],
): Generator<string> {
  const first = columns.sampleLocationStart[sample] as number;
  for (let i = (columns.sampleLocationStart[sample + 1] as number) - 1; i >= first; i--) {
    const location = columns.sampleLocations[i] as number;
    const from = columns.locationLineStart[location] as number;
    const until = columns.locationLineStart[location + 1] as number;
    if (from === until) yield addressOf(columns, location);
    for (let line = until - 1; line >= from; line--) {
      yield names[columns.lineFunction[line] as number] ?? '?';
    }
  }
}

function addressOf(columns: ProfileColumns, location: number): string {
  const high = BigInt(columns.locationAddressHigh[location] as number);
  const address = (high << 32n) | BigInt(columns.locationAddressLow[location] as number);
  return `0x${address.toString(16)}`;
}

function finished(root: Growing): CallNode {
  const copy = ({ name, self, total }: Growing): CallNode => ({
    name,
    self,
    total,
    baseSelf: 0n,
    baseTotal: 0n,
    children: [],
  });
  const top = copy(root);
  const work = [{ from: root, to: top }];
  for (let step = work.pop(); step !== undefined; step = work.pop()) {
    for (const child of step.from.children.values()) {
      const node = copy(child);
      step.to.children.push(node);
      work.push({ from: child, to: node });
    }
  }
  return top;
}
