import type { Steps } from '../../base/steps.ts';
import type { NameTree } from '../tree/name-tree.ts';
import type { PrunedTree } from '../tree/prune.ts';
import { ProtoWriter } from './proto-writer.ts';
import { foldedValueOf, pruned, writeLane } from './pruned.ts';

/** Fields of `tephra.v1.MergeStreamResponse`. */
const FIRST_NODE = 1;
const NAMES = 2;
const PARENT = 3;
const NAME = 4;
const SELF = 5;
const TOTAL = 6;

/**
 * A pruned tree as a row of `tephra.v1.MergeStreamResponse` messages, made one by one: a tree that is
 * large as a message never is one. Parents come before their children; names come in the chunk that
 * first uses them. Node 0 is the root.
 */
export class NodeChunks {
  /** Value in nodes `other`. */
  readonly foldedValue: bigint;
  readonly #tree: PrunedTree;
  readonly #chunkBytes: number;
  /** Number of each name + 1, in the order of first use; 0 = not sent yet. */
  readonly #numberOf: Uint32Array;
  readonly #numberOfText = new Map<string, number>();
  #next = 0;
  #saturated = false;

  private constructor(tree: PrunedTree, foldedValue: bigint, chunkBytes: number) {
    this.#tree = tree;
    this.foldedValue = foldedValue;
    this.#chunkBytes = chunkBytes;
    this.#numberOf = new Uint32Array(tree.names.length);
  }

  /** Prunes `tree` to `maxNodes`; `chunkBytes`: size from which a chunk is closed. */
  static *of(tree: NameTree, maxNodes: number, chunkBytes: number): Steps<NodeChunks> {
    const kept = yield* pruned(tree, maxNodes);
    return new NodeChunks(kept, yield* foldedValueOf(kept), chunkBytes);
  }

  /** Nodes in all. */
  get nodes(): number {
    return this.#tree.name.length;
  }

  /** Whether a value of the chunks so far was cut to 2^63 - 1. */
  get saturated(): boolean {
    return this.#saturated;
  }

  /** The next chunk, undefined after the last. */
  next(): Uint8Array | undefined {
    const { name, parent, sides } = this.#tree;
    const first = this.#next;
    if (first === name.length) return undefined;
    const [{ self, total }] = sides as [PrunedTree['sides'][number]];
    const writer = new ProtoWriter(this.#chunkBytes);
    writer.field(FIRST_NODE, first);
    const names: number[] = [];
    let size = 0;
    let end = first;
    while (end < name.length && size < this.#chunkBytes) {
      const before = this.#numberOfText.size;
      const number = this.#nameNumber(name[end] as number);
      names.push(number);
      if (this.#numberOfText.size > before) {
        const text = this.#tree.names[name[end] as number] as string;
        writer.text(NAMES, text);
        size += text.length;
      }
      size += NODE_BYTES;
      end++;
    }
    const column = (field: number, write: (node: number) => void): void => {
      const packed = writer.begin(field);
      for (let node = first; node < end; node++) write(node);
      writer.end(packed);
    };
    column(PARENT, (node) => writer.uint(Math.max(0, parent[node] as number)));
    column(NAME, (node) => writer.uint(names[node - first] as number));
    column(SELF, (node) => writeLane(writer, self, node));
    column(TOTAL, (node) => writeLane(writer, total, node));
    this.#next = end;
    const { bytes, saturated } = writer.finish();
    this.#saturated ||= saturated;
    return bytes;
  }

  #nameNumber(id: number): number {
    const known = this.#numberOf[id] as number;
    if (known > 0) return known - 1;
    const text = this.#tree.names[id] as string;
    // A function may be called like the root, or like a folded node.
    const number = this.#numberOfText.get(text) ?? this.#numberOfText.size;
    this.#numberOfText.set(text, number);
    this.#numberOf[id] = number + 1;
    return number;
  }
}

/** Bytes of a node without its name, about. */
const NODE_BYTES = 16;
