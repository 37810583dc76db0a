import { WireBuilder } from './wire-builder.ts';

/** Writes fields. */
export type Fill = (builder: WireBuilder) => void;

/** Parts of a profile that a test replaces; `more` comes last. */
export interface Parts {
  readonly strings?: Fill;
  readonly types?: Fill;
  readonly samples?: Fill;
  readonly mappings?: Fill;
  readonly locations?: Fill;
  readonly functions?: Fill;
  readonly more?: Fill;
}

/** The string table of {@link smallPprof}. */
export const STRINGS = ['', 'cpu', 'nanoseconds', 'main', 'work', 'k', 'v'];

/** A small valid pprof: `main;work` with the value 10 cpu nanoseconds, no time and no period type. */
export function smallPprof(parts: Parts = {}): Uint8Array {
  const builder = new WireBuilder();
  const or = (fill: Fill | undefined, standard: Fill): void => (fill ?? standard)(builder);
  or(parts.types, (b) => b.message(1, (t) => t.int(1, 1).int(2, 2)));
  or(parts.samples, (b) => b.message(2, (s) => s.packed(1, [2, 1]).packed(2, [10])));
  or(parts.mappings, (b) => b.message(3, (m) => m.int(1, 1).int(5, 3)));
  or(parts.locations, (b) =>
    b
      .message(4, (l) =>
        l
          .int(1, 1)
          .int(2, 1)
          .int(3, 0x1000)
          .message(4, (n) => n.int(1, 1).int(2, 7)),
      )
      .message(4, (l) =>
        l
          .int(1, 2)
          .int(3, 0x2000)
          .message(4, (n) => n.int(1, 2).int(2, 9)),
      ),
  );
  or(parts.functions, (b) =>
    b.message(5, (f) => f.int(1, 1).int(2, 3)).message(5, (f) => f.int(1, 2).int(2, 4)),
  );
  or(parts.strings, (b) => STRINGS.forEach((text) => b.text(6, text)));
  parts.more?.(builder);
  return builder.finish();
}

/** `count` times the same bytes. */
export function repeated(unit: readonly number[], count: number): Uint8Array {
  return Buffer.alloc(unit.length * count, Uint8Array.from(unit));
}
