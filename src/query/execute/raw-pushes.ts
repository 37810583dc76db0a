import { TephraError } from '../../base/errors.ts';
import type { PushRef } from '../../storage/block/pushes.ts';
import { decodeFragment, decodeSection } from '../../storage/fragment/decode.ts';
import type {
  FragmentView,
  PushView,
  SectionEntry,
  SectionView,
} from '../../storage/fragment/decode.ts';
import { fragmentKey, fragmentPrefix } from '../../storage/keys.ts';
import type { Dictionary } from '../../storage/dictionary/dictionary.ts';
import { lengthsEqual } from '../../storage/dictionary/lengths.ts';
import { HOUR_MS, RAW_VOLUME_MS, floorTo } from '../../base/time.ts';
import type { Canonical } from '../../storage/shard/canonical.ts';
import type { ShardState } from '../../storage/shard/shard-state.ts';

/** A push read back from its fragment, with the dictionary of its ids. */
export interface RawPush {
  readonly push: PushView;
  readonly bytes: Uint8Array;
  readonly dictionary: Dictionary;
}

/** Whose pushes: one service in one partition. */
export interface RawScope {
  readonly state: ShardState;
  readonly tenant: string;
  readonly service: string;
  readonly dayMs: number;
  readonly canonical: Canonical;
}

/** Counts what a query reads from the raw tier. */
export interface RawBudget {
  /** Throws `query_limit`. */
  spendRaw(bytes: number): void;
}

/** Dictionaries of ended epochs that are kept. */
const EPOCHS_KEPT = 16;

/** Bytes of fragments that are kept: the pushes of an edge minute lie in few of them. */
const FRAGMENT_BYTES_KEPT = 16 * 1024 * 1024;

interface StoredFragment {
  readonly bytes: Uint8Array;
  readonly view: FragmentView;
  /** By place in `view.sections`; decoded at the first use. */
  readonly sections: (SectionView | undefined)[];
}

/**
 * Reads single pushes back from the raw tier: for the edges of a range that cut a minute. The ids of a
 * push are canonical unless absorb mapped them; then its epoch's dictionary is put together from the slices
 * of the epoch's fragments, which all lie in one raw volume.
 */
export class RawPushes {
  readonly #epochs = new Map<string, Dictionary>();
  readonly #fragments = new Map<string, StoredFragment>();
  #fragmentBytes = 0;

  /**
   * The push, or undefined where its fragment is gone or damaged. What is read from the store is counted to
   * `budget`. Throws `query_limit` when that is used up.
   */
  async read(scope: RawScope, ref: PushRef, budget: RawBudget): Promise<RawPush | undefined> {
    const { state } = scope;
    try {
      const fragment = await this.#fragment(
        state,
        fragmentKey({ ...ref, shard: state.shard }),
        budget,
      );
      if (fragment === undefined) return undefined;
      const { bytes, view, sections } = fragment;
      const place = view.sections.findIndex((candidate) => isOf(candidate, scope));
      const entry = view.sections[place];
      if (entry === undefined) return undefined;
      const section = (sections[place] ??= decodeSection(bytes, entry));
      const push = section.pushes[ref.index];
      if (push === undefined) return undefined;
      const dictionary = ref.canonical
        ? scope.canonical.dictionary
        : await this.#epoch(scope, view, entry, budget);
      return dictionary === undefined ? undefined : { push, bytes, dictionary };
    } catch (thrown) {
      const error = TephraError.from(thrown);
      if (error.reason === 'corrupt_block') return undefined;
      throw error;
    }
  }

  async #fragment(
    state: ShardState,
    key: string,
    budget: RawBudget,
  ): Promise<StoredFragment | undefined> {
    const known = this.#fragments.get(key);
    if (known !== undefined) return known;
    const bytes = await getUnlessDamaged(state, key);
    if (bytes === null) return undefined;
    budget.spendRaw(bytes.byteLength);
    const fragment = { bytes, view: decodeFragment(bytes), sections: [] };
    this.#fragments.set(key, fragment);
    this.#fragmentBytes += bytes.byteLength;
    for (const [oldest, { bytes: old }] of this.#fragments) {
      if (this.#fragmentBytes <= FRAGMENT_BYTES_KEPT) break;
      this.#fragments.delete(oldest);
      this.#fragmentBytes -= old.byteLength;
    }
    return fragment;
  }

  async #epoch(
    scope: RawScope,
    fragment: FragmentView,
    entry: SectionEntry,
    budget: RawBudget,
  ): Promise<Dictionary | undefined> {
    const { state } = scope;
    const name = `${state.shard}/${fragment.incarnation}/${entry.epoch}/${scope.dayMs}/${scope.tenant.length}/${scope.tenant}/${scope.service}`;
    const known = this.#epochs.get(name);
    if (known !== undefined && isAtLeast(known, entry)) return known;
    const dictionary = scope.canonical.dictionary.copy(entry.seed);
    for (const { section, bytes } of await this.#sectionsOf(scope, fragment, entry, budget)) {
      // A slice between is missing: names of what it held cannot be told any more.
      if (!lengthsEqual(dictionary.lengths, section.from)) return undefined;
      dictionary.append(decodeSection(bytes, section).slice, section.from, section.to);
    }
    if (!isAtLeast(dictionary, entry)) return undefined;
    this.#epochs.set(name, dictionary);
    if (this.#epochs.size > EPOCHS_KEPT) {
      const oldest = this.#epochs.keys().next();
      if (oldest.done !== true) this.#epochs.delete(oldest.value);
    }
    return dictionary;
  }

  /** All sections of an entry's epoch and service, in the order in which they were written. */
  async #sectionsOf(
    { state, ...scope }: RawScope,
    { incarnation, arrivalHourMs }: FragmentView,
    { epoch }: SectionEntry,
    budget: RawBudget,
  ): Promise<{ readonly section: SectionEntry; readonly bytes: Uint8Array }[]> {
    const found: { seq: number; section: SectionEntry; bytes: Uint8Array }[] = [];
    const volumeMs = floorTo(arrivalHourMs, RAW_VOLUME_MS);
    for (let hourMs = volumeMs; hourMs < volumeMs + RAW_VOLUME_MS; hourMs += HOUR_MS) {
      const prefix = fragmentPrefix({ arrivalHourMs: hourMs, shard: state.shard, incarnation });
      for (const { key } of await state.store.list(prefix)) {
        const bytes = await getUnlessDamaged(state, key);
        if (bytes === null) continue;
        budget.spendRaw(bytes.byteLength);
        const { seq, sections } = decodeFragment(bytes);
        for (const section of sections) {
          if (section.epoch === epoch && isOf(section, scope)) found.push({ seq, section, bytes });
        }
      }
    }
    return found.toSorted((a, b) => a.seq - b.seq);
  }
}

function isOf(entry: SectionEntry, scope: Pick<RawScope, 'tenant' | 'service' | 'dayMs'>): boolean {
  return (
    entry.dayMs === scope.dayMs && entry.tenant === scope.tenant && entry.service === scope.service
  );
}

function isAtLeast(dictionary: Dictionary, entry: SectionEntry): boolean {
  return dictionary.lengths.stacks >= entry.to.stacks && dictionary.lengths.nodes >= entry.to.nodes;
}

async function getUnlessDamaged(state: ShardState, key: string): Promise<Uint8Array | null> {
  try {
    return await state.store.get(key);
  } catch (thrown) {
    const error = TephraError.from(thrown);
    if (error.reason === 'corrupt_block' || error.reason === 'volume_quarantined') return null;
    throw error;
  }
}
