import { create } from '@bufbuild/protobuf';
import { type Profile, ProfileSchema } from '../../gen/google/v1/profile_pb.ts';
import type { CallNode } from './call-tree.ts';
import { stacksOf } from './stacks.ts';

/** A pprof profile of a tree that never was one (folded text): functions without files and lines. */
export function profileOfTree(root: CallNode, type: string, unit: string): Profile {
  const strings = ['', type, unit];
  const ids = new Map<string, bigint>();
  const idOf = (name: string): bigint => {
    let id = ids.get(name);
    if (id === undefined) {
      strings.push(name);
      ids.set(name, (id = BigInt(ids.size + 1)));
    }
    return id;
  };
  const sample = [];
  for (const { names, node } of stacksOf(root)) {
    sample.push({ locationId: names.map(idOf).toReversed(), value: [node.self] });
  }
  const rows = Array.from({ length: ids.size }, (_, index) => BigInt(index + 1));
  return create(ProfileSchema, {
    stringTable: strings,
    sampleType: [{ type: 1n, unit: 2n }],
    sample,
    function: rows.map((id) => ({ id, name: id + 2n })),
    location: rows.map((id) => ({ id, line: [{ functionId: id }] })),
  });
}
