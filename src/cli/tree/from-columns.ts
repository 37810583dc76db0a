import { stringAt, type ProfileColumns } from '../../profile/columns.ts';
import { emptyNode, type CallNode, type GrowingNode } from './call-tree.ts';

/** A node, and its children by name. */
interface Growing {
  readonly node: GrowingNode;
  readonly byName: Map<string, Growing>;
}

/** The call tree of one value column of a profile, by function names; inlined calls are frames too. */
export function treeOfColumns(columns: ProfileColumns, type: number): CallNode {
  const names = Array.from({ length: columns.functionCount }, (_, index) => {
    const name = stringAt(columns, columns.functionName[index] as number);
    return name === '' ? stringAt(columns, columns.functionSystemName[index] as number) : name;
  });
  const root = growing('total');
  for (let sample = 0; sample < columns.sampleCount; sample++) {
    const at = type * columns.sampleCount + sample;
    const value = columns.wideValues?.[at] ?? BigInt(columns.values[at] as number);
    if (value === 0n) continue;
    let growth = root;
    growth.node.total += value;
    for (const name of framesOf(columns, sample, names)) {
      let child = growth.byName.get(name);
      if (child === undefined) {
        growth.byName.set(name, (child = growing(name)));
        growth.node.children.push(child.node);
      }
      growth = child;
      growth.node.total += value;
    }
    growth.node.self += value;
  }
  return root.node;
}

function growing(name: string): Growing {
  return { node: emptyNode(name), byName: new Map() };
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
