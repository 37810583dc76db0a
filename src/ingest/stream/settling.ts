/** Counts what of a bundle is not settled yet; a promise for each batch would cost more than the batch's bytes. */
export class Settling {
  /** Resolves when all that began has ended. */
  readonly over: Promise<void>;
  #left = 1;
  #resolve: () => void = () => {};

  constructor() {
    this.over = new Promise((resolve) => (this.#resolve = resolve));
  }

  /** One more. */
  begin(): void {
    this.#left++;
  }

  /** One less; the last one is the bundle's own. */
  end(): void {
    if (--this.#left === 0) this.#resolve();
  }
}
