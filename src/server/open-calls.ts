import { TephraError } from '../base/errors.ts';

/** Calls that end when the server stops, so that their clients learn why and ask elsewhere. */
export class OpenCalls {
  readonly #open = new Set<(error: TephraError) => void>();
  #ended = false;

  /** Has `end` called when the server stops, at once if it has. Returns what forgets it again. */
  add(end: (error: TephraError) => void): () => void {
    if (this.#ended) {
      end(stopping());
      return () => {};
    }
    this.#open.add(end);
    return () => this.#open.delete(end);
  }

  /** Ends all, and those that come later, with `draining`. */
  end(): void {
    this.#ended = true;
    for (const end of this.#open) end(stopping());
    this.#open.clear();
  }
}

function stopping(): TephraError {
  return new TephraError('draining', 'the server is stopping; ask again');
}
