import type { Profile } from '../../gen/google/v1/profile_pb.ts';
import { LIMITS } from '../../base/limits.ts';
import type { QuerierAnswer, QuerierSelection } from '../../client/index.ts';
import type { Remote } from '../connection.ts';
import type { JsonValue } from '../json.ts';
import { treeOfFlameGraph, type CallNode } from '../tree/call-tree.ts';
import { isoTime, type Range } from './range.ts';

/** Which profiles of a server, by times that are known. */
export type Selection = Range & Required<Pick<QuerierSelection, 'profileType' | 'selector'>>;

/** An answer, and what it says about itself. */
export interface Answered<T> extends QuerierAnswer {
  readonly value: T;
}

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

/** The side that a server answers. Nothing is folded into `other`: tables and stacks need every node. */
export function querySide(remote: Remote, selection: Selection): Side {
  const { from, to, selector, profileType } = selection;
  const maxNodes = LIMITS.flameGraphNodesMax;
  return {
    text: `${selector} ${rangeText(selection)}`,
    source: { server: remote.url, selector, from: isoTime(from), to: isoTime(to) },
    type: profileType,
    query: { remote, selection },
    async tree() {
      const { flameGraph, ...told } = await remote.ask(({ querier }) =>
        querier.flameGraph(selection, { maxNodes }),
      );
      return { ...told, value: treeOfFlameGraph(flameGraph) };
    },
    async profile() {
      const { profile, ...told } = await remote.ask(({ querier }) => querier.pprof(selection));
      return { ...told, value: profile };
    },
  };
}

function rangeText({ from, to }: Range): string {
  // To the second: people do not read more.
  const at = (ms: number): string => isoTime(ms - (ms % 1_000));
  return `${at(from)}..${at(to)}`;
}
