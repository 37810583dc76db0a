/** Nodes, the last one first: as many as wait at once, which is few of a large tree. */
export class NodeStack {
  #nodes = new Uint32Array(1_024);
  #size = 0;

  /** Nodes that wait. */
  get size(): number {
    return this.#size;
  }

  /** Adds `nodes[from, to)`. */
  push(nodes: Uint32Array, from: number, to: number): void {
    const needed = this.#size + to - from;
    if (needed > this.#nodes.length) {
      const grown = new Uint32Array(Math.max(needed, this.#nodes.length * 2));
      grown.set(this.#nodes);
      this.#nodes = grown;
    }
    for (let i = from; i < to; i++) this.#nodes[this.#size++] = nodes[i] as number;
  }

  /** Takes the last one; there is one. */
  pop(): number {
    return this.#nodes[--this.#size] as number;
  }
}
