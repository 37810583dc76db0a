import { badAnswer } from './error.ts';

/** A function as it was called from the one above it. */
export interface CallNode {
  /** '' for the root. */
  readonly name: string;
  /** Value of the samples that end here. */
  readonly self: bigint;
  /** Its own value and that of everything below. */
  total: bigint;
  readonly children: CallNode[];
}

/**
 * The tree in the bytes of `MERGE_FORMAT_TREE`; no bytes are an empty root. Throws
 * {@link TephraClientError} if they are cut.
 */
export function decodeTree(bytes: Uint8Array): CallNode {
  const reader = new Reader(bytes);
  const order: { readonly node: CallNode; readonly parent: CallNode | undefined }[] = [];
  const open: { readonly node: CallNode; left: number }[] = [];
  const read = (parent: CallNode | undefined): void => {
    const name = reader.text();
    const self = reader.wide();
    const node: CallNode = { name, self, total: self, children: [] };
    order.push({ node, parent });
    parent?.children.push(node);
    open.push({ node, left: Number(reader.wide()) });
  };
  if (bytes.byteLength === 0) return { name: '', self: 0n, total: 0n, children: [] };
  read(undefined);
  for (let top = open.at(-1); top !== undefined; top = open.at(-1)) {
    if (top.left-- > 0) read(top.node);
    else {
      // They come with the right-most first.
      top.node.children.reverse();
      open.pop();
    }
  }
  for (const { node, parent } of order.toReversed()) {
    if (parent !== undefined) parent.total += node.total;
  }
  return (order[0] as { node: CallNode }).node;
}

class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  wide(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) break;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw badAnswer('the tree is cut');
  }

  text(): string {
    const size = Number(this.wide());
    const from = this.#at;
    this.#at += size;
    if (this.#at > this.#bytes.byteLength) throw badAnswer('the tree is cut');
    return Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset + from, size).toString();
  }
}
