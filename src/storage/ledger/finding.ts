/** Something that was stored once and is not as it was. */
export interface Finding {
  readonly kind:
    /** Fragments that were durable are not there. */
    | 'ledger_gap'
    /** A root is older than it was, or gone. */
    | 'root_stale'
    /** Bytes that fail their checksum, do not decode, or contradict others. */
    | 'damaged'
    /** Something that a root names is not there. */
    | 'missing'
    /** A whole volume is set aside. */
    | 'quarantined';
  /** Name of the blob, root, volume or file. */
  readonly what: string;
  /** What was expected and found. */
  readonly detail: string;
}
