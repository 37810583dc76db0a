import type { Profile } from '../../gen/google/v1/profile_pb.ts';
import { LIMITS } from '../../base/limits.ts';
import type { Answered, Range, Remote, Selection } from '../client.ts';
import type { JsonValue } from '../json.ts';
import { treeOfFlameGraph, type CallNode } from '../tree/call-tree.ts';
import { isoTime } from './range.ts';

/** Something with stacks: a file, or what a server answers. */
export interface Side {
  /** What it is, for people. */
  readonly text: string;
  /** The same for programs. */
  readonly source: JsonValue;
  /** Five-part profile type id; of a file only type and unit are known: `:cpu:nanoseconds::`. */
  readonly type: string;
  /** The question, where a server is asked. */
  readonly query?: { readonly remote: Remote; readonly selection: Selection };
  tree(): Promise<Answered<CallNode>>;
  /** With full frames, as far as they are known. */
  profile(): Promise<Answered<Profile>>;
}

/** A tree without anything. */
export const EMPTY_TREE: CallNode = {
  name: 'total',
  self: 0n,
  total: 0n,
  baseSelf: 0n,
  baseTotal: 0n,
  children: [],
};

/** The side that a server answers. Nothing is folded into `other`: tables and stacks need every node. */
export function querySide(remote: Remote, selection: Selection): Side {
  const { start, end, selector, type } = selection;
  return {
    text: `${selector} ${rangeText(selection)}`,
    source: { server: remote.url, selector, from: isoTime(start), to: isoTime(end) },
    type,
    query: { remote, selection },
    async tree() {
      const answer = await remote.flameGraph(selection, LIMITS.flameGraphNodesMax);
      return {
        ...answer,
        value: answer.value === undefined ? EMPTY_TREE : treeOfFlameGraph(answer.value),
      };
    },
    profile: () => remote.profile(selection),
  };
}

function rangeText({ start, end }: Range): string {
  // To the second: people do not read more.
  const at = (ms: bigint): string => isoTime(ms - (ms % 1_000n));
  return `${at(start)}..${at(end)}`;
}
