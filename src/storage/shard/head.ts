import type { FragmentView, SectionEntry, SectionRange, SectionView } from '../fragment/decode.ts';
import type { Dictionary } from '../dictionary/dictionary.ts';
import type { TableLengths } from '../dictionary/lengths.ts';

/** The dictionary in which a section's ids mean something. */
export interface SectionScope {
  readonly dictionary: Dictionary;
  /**
   * Ids below these lengths are canonical ids of the partition (they were seeded from it, or absorbed
   * as they are); ids above are the writer's own until absorb maps them.
   */
  base: TableLengths;
}

/** A section of a durable fragment that no root counts as absorbed yet. */
export interface HeadSection extends SectionRange {
  readonly incarnation: number;
  readonly seq: number;
  readonly arrivalHourMs: number;
  readonly tenant: string;
  readonly service: string;
  /** Table lengths of the writer after this section. */
  readonly to: TableLengths;
  readonly scope: SectionScope;
  /** The fragment, and the pushes of this section with offsets into it. */
  readonly bytes: Uint8Array;
  readonly view: SectionView;
  /** Bytes of this section. */
  readonly size: number;
}

/**
 * What the head keeps of a section of a durable fragment whose bytes are `bytes`. `read` makes the view
 * when it is asked for first: many sections are absorbed soon, and objects for each push are ten times
 * what they take encoded.
 */
export function headSection(
  fragment: FragmentView,
  entry: SectionEntry,
  read: () => SectionView,
  scope: SectionScope,
  bytes: Uint8Array,
): HeadSection {
  return new LazySection(fragment, entry, read, scope, bytes);
}

/** A class: an object with a getter of its own is a shape of its own, and V8 keeps those in the old space. */
class LazySection implements HeadSection {
  readonly incarnation: number;
  readonly seq: number;
  readonly arrivalHourMs: number;
  readonly tenant: string;
  readonly service: string;
  readonly dayMs: number;
  readonly minMs: number;
  readonly maxMs: number;
  readonly pushCount: number;
  readonly at: number;
  readonly end: number;
  readonly to: TableLengths;
  readonly scope: SectionScope;
  readonly bytes: Uint8Array;
  readonly size: number;
  readonly #read: () => SectionView;
  #view: SectionView | undefined;

  constructor(
    fragment: FragmentView,
    entry: SectionEntry,
    read: () => SectionView,
    scope: SectionScope,
    bytes: Uint8Array,
  ) {
    this.incarnation = fragment.incarnation;
    this.seq = fragment.seq;
    this.arrivalHourMs = fragment.arrivalHourMs;
    this.tenant = entry.tenant;
    this.service = entry.service;
    this.dayMs = entry.dayMs;
    this.minMs = entry.minMs;
    this.maxMs = entry.maxMs;
    this.pushCount = entry.pushCount;
    this.at = entry.at;
    this.end = entry.end;
    this.to = entry.to;
    this.scope = scope;
    this.bytes = bytes;
    this.size = entry.end - entry.at;
    this.#read = read;
  }

  get view(): SectionView {
    return (this.#view ??= this.#read());
  }
}

/**
 * The sections of one shard that are durable in the raw tier and not in any block yet, by partition.
 * Its owner adds a section when its put resolved, and removes it after the root that counts it
 * was swapped; between the two a reader sees it in both places and asks the root (`absorbed`).
 */
export class Head {
  readonly #days = new Map<number, HeadSection[]>();
  #bytes = 0;

  /** Bytes of all sections. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Partitions with sections, ascending. */
  days(): number[] {
    return [...this.#days.keys()].toSorted((a, b) => a - b);
  }

  /** A snapshot of the sections of a partition in the order in which they became durable. */
  list(dayMs: number): readonly HeadSection[] {
    return [...(this.#days.get(dayMs) ?? [])];
  }

  /** Bytes and fragments waiting in a partition. */
  load(dayMs: number): { readonly bytes: number; readonly fragments: number } {
    let bytes = 0;
    const fragments = new Set<string>();
    for (const section of this.#days.get(dayMs) ?? []) {
      bytes += section.size;
      fragments.add(`${section.incarnation}/${section.seq}`);
    }
    return { bytes, fragments: fragments.size };
  }

  /** Adds a section whose fragment is durable. */
  add(section: HeadSection): void {
    const list = this.#days.get(section.dayMs);
    if (list === undefined) this.#days.set(section.dayMs, [section]);
    else list.push(section);
    this.#bytes += section.size;
  }

  /** Removes sections that a root now counts. */
  remove(dayMs: number, absorbed: readonly HeadSection[]): void {
    const gone = new Set(absorbed);
    const left: HeadSection[] = [];
    for (const section of this.#days.get(dayMs) ?? []) {
      if (gone.has(section)) this.#bytes -= section.size;
      else left.push(section);
    }
    if (left.length === 0) this.#days.delete(dayMs);
    else this.#days.set(dayMs, left);
  }

  /** The lowest sequence of `incarnation` that still waits, or undefined. */
  lowestSeq(incarnation: number): number | undefined {
    let lowest: number | undefined;
    for (const list of this.#days.values()) {
      for (const section of list) {
        if (section.incarnation !== incarnation) continue;
        if (lowest === undefined || section.seq < lowest) lowest = section.seq;
      }
    }
    return lowest;
  }

  /** Every section. */
  *all(): Iterable<HeadSection> {
    for (const list of this.#days.values()) yield* list;
  }
}
