import { TephraError } from '../../base/errors.ts';

/** Releases whose layout differs from today's, the oldest first; a layout is a bit in this order. */
const RELEASES = ['1.4', '1.5', '1.6', '1.7', '1.8', '1.9'];

/** Layouts by the first release that no longer has them; the oldest with package `v1development` is 1.4. */
export const LAYOUTS = {
  upTo15: 0b000011,
  upTo16: 0b000111,
  upTo17: 0b001111,
  upTo18: 0b011111,
  upTo19: 0b111111,
  only17: 0b001000,
  only16To17: 0b001100,
  only16To18: 0b011100,
  only18To19: 0b110000,
} as const;

/**
 * What a request shows of its layout. Releases re-used field numbers under one package name, so bytes of an old
 * one decode without an error into other values: one field that today's layout cannot have decides for all.
 */
export class LayoutEvidence {
  #found = 0;

  /** Whether something was seen that today's layout cannot have. */
  get isOld(): boolean {
    return this.#found !== 0;
  }

  /** Notes that one of these layouts was seen. */
  add(layouts: number): void {
    const both = this.#found === 0 ? layouts : this.#found & layouts;
    // Contradictions come from a sender that is wrong anyway: the first guess stands.
    if (both !== 0) this.#found = both;
  }

  /** Throws `otlp_layout` if the layout is old. */
  check(): void {
    if (this.isOld) failLayout(this.#found);
  }
}

/** Throws `otlp_layout` for one of these layouts. */
export function failLayout(layouts: number): never {
  const names = RELEASES.filter((_, bit) => ((layouts >> bit) & 1) === 1);
  const first = names[0];
  const last = names.at(-1);
  const name = names.length > 2 ? `${first} to ${last}` : names.join('/');
  throw new TephraError(
    'otlp_layout',
    `profiles in the OTLP ${name} layout; this server accepts 1.10 and later: upgrade the sender`,
  );
}
