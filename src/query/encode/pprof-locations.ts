import { type Steps, sweep } from '../../base/steps.ts';
import { FRAME_INLINED } from '../../storage/dictionary/rows.ts';
import type { FrameTree } from '../tree/frame-tree.ts';
import { PairTable } from '../tree/pair-table.ts';

/** Which locations the nodes of a frame tree are parts of. */
export interface LocationPlan {
  /** Location in which each node is the innermost line. */
  readonly location: Uint32Array;
  /**
   * Of each location: the one without its innermost line, or -1. It is that of the node's parent; so the
   * location of the caller is found above as many nodes as the location has lines.
   */
  readonly outer: Int32Array;
  /** Of each location: the frame of its innermost line. */
  readonly frameOf: Uint32Array;
  /** Of each frame: index into `mappings`, or -1. */
  readonly mappingOf: Int32Array;
  /** String indices of file and build id. */
  readonly mappings: readonly (readonly [file: number, buildId: number])[];
}

/**
 * Regroups inlined chains: a frame that is inlined into the one above it, of the same mapping, is a
 * further line of its location. The location of a node is its whole chain up to the frame that is
 * not inlined, so a stack that ends in the middle of a chain has another location than one that
 * goes on.
 */
export function* planLocations(tree: FrameTree): Steps<LocationPlan> {
  const { parent, frame, frames } = tree;
  const { mappingOf, mappings } = yield* mappingsOf(tree);
  if (!frames.flags.some((flags) => (flags & FRAME_INLINED) !== 0)) {
    // Each frame is a location: nothing is kept a node, of which there may be millions.
    const outer = new Int32Array(frames.fn.length).fill(-1);
    const frameOf = Uint32Array.from(outer, (_, own) => own);
    return { location: frame, outer, frameOf, mappingOf, mappings };
  }
  const chains = new PairTable(1, frames.fn.length);
  const location = new Uint32Array(parent.length);
  yield* sweep(1, parent.length, (from, to) => {
    for (let node = from; node < to; node++) {
      const caller = parent[node] as number;
      const own = frame[node] as number;
      const inlined =
        caller > 0 &&
        ((frames.flags[own] as number) & FRAME_INLINED) !== 0 &&
        mappingOf[own] === mappingOf[frame[caller] as number];
      location[node] = chains.intern(inlined ? (location[caller] as number) : -1, own);
    }
  });
  return { location, outer: chains.a, frameOf: chains.b, mappingOf, mappings };
}

function* mappingsOf({ frames }: FrameTree): Steps<Pick<LocationPlan, 'mappingOf' | 'mappings'>> {
  const pairs = new PairTable(1, 16);
  const mappingOf = new Int32Array(frames.mappingFile.length);
  yield* sweep(0, mappingOf.length, (from, to) => {
    for (let i = from; i < to; i++) {
      const file = frames.mappingFile[i] as number;
      const buildId = frames.buildId[i] as number;
      mappingOf[i] = file === 0 && buildId === 0 ? -1 : pairs.intern(file, buildId) - 1;
    }
  });
  const mappings = Array.from(
    { length: pairs.end - 1 },
    (_, i) => [pairs.a[i + 1] as number, pairs.b[i + 1] as number] as const,
  );
  return { mappingOf, mappings };
}

/** Numbers keys densely from 1 in order of first use. */
export class DenseIds {
  /** Key of id i + 1. */
  readonly keys: number[] = [];
  readonly #ids: Uint32Array;

  /** For keys in [0, keyCount). */
  constructor(keyCount: number) {
    this.#ids = new Uint32Array(keyCount);
  }

  /** The id of `key`. */
  idOf(key: number): number {
    let id = this.#ids[key] as number;
    if (id === 0) {
      id = this.keys.push(key);
      this.#ids[key] = id;
    }
    return id;
  }
}
