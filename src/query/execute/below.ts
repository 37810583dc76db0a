import { atOnce } from '../../base/steps.ts';
import { decodeStacks, decodeTicks, type EntriesHeader } from '../../storage/column/decode.ts';
import type { TypeColumn } from '../../storage/column/entries.ts';
import type { Dictionary } from '../../storage/dictionary/dictionary.ts';
import { stacksBelow } from './call-site.ts';

/** Which stacks lie below the call site, by dictionary. */
export class Below {
  readonly #callSite: readonly string[];
  readonly #masks = new Map<Dictionary, Uint8Array>();

  constructor(callSite: readonly string[]) {
    this.#callSite = callSite;
  }

  /** Value of one type in those stacks of a column. */
  valueOf(
    dictionary: Dictionary,
    bytes: Uint8Array,
    header: EntriesHeader,
    type: TypeColumn,
  ): bigint {
    if (type.total === 0n) return 0n;
    let mask = this.#masks.get(dictionary);
    // Dictionaries grow while a query runs.
    if (mask === undefined || mask.length < dictionary.lengths.stacks) {
      mask = atOnce(stacksBelow(dictionary, this.#callSite));
      this.#masks.set(dictionary, mask);
    }
    const stacks = decodeStacks(bytes, header);
    const ticks = decodeTicks(bytes, header, type.column);
    let sum = 0n;
    for (let i = 0; i < stacks.length; i++) {
      if (mask[stacks[i] as number] === 1) sum += BigInt(ticks[i] as number | bigint);
    }
    return sum * type.grain;
  }
}
