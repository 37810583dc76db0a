import type { FragmentPush } from '../../storage/fragment/encode.ts';
import type { WriterScope } from '../../storage/shard/shard-state.ts';
import type { WriterItem } from '../shard-writer.ts';
import type { KnownStream } from './known-stream.ts';

/** What a batch has for one scope. Most markers are never put: the text of one is made when it is. */
export class StreamItem implements WriterItem {
  readonly scope: WriterScope;
  readonly arrivalMs: number;
  readonly pushes: FragmentPush[] = [];
  readonly #stream: KnownStream;
  readonly #sequence: number;
  /** What keys of markers begin with. */
  readonly #markers: string;

  constructor(
    scope: WriterScope,
    arrivalMs: number,
    stream: KnownStream,
    sequence: number,
    markers: string,
  ) {
    this.scope = scope;
    this.arrivalMs = arrivalMs;
    this.#stream = stream;
    this.#sequence = sequence;
    this.#markers = markers;
  }

  get marker(): string {
    return `${this.#markers}${this.#stream.marker(this.#sequence)}`;
  }

  get markedBy(): string {
    return this.#stream.name;
  }
}
