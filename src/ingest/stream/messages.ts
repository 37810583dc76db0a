import type { WireError } from '../../base/errors.ts';
import type { Label } from '../../profile/labels.ts';

/** Rows by table, without row 0. */
export interface StreamRows {
  readonly strings: number;
  readonly frames: number;
  readonly stacks: number;
  readonly series: number;
}

/** Limits of one epoch and one batch of a stream. */
export interface StreamLimits {
  readonly rows: StreamRows;
  /** Bytes of all strings. */
  readonly textBytes: number;
  readonly parts: number;
  readonly entries: number;
}

/** What a client says at the start. May cross a thread, as everything here. */
export interface StreamOpening {
  /** Number of the call, given once in the life of the process. */
  readonly call: number;
  readonly tenant: string;
  /** Valid, with `service_name`. */
  readonly labels: readonly Label[];
  /** 16 bytes. */
  readonly instance: Uint8Array;
  readonly firstSequence: number;
  readonly lastSequence: number;
  /** 0 = none. */
  readonly epoch: number;
}

/** What the owner of the shard knows. */
export interface StreamOpened {
  readonly settled: number;
  /** The one asked for, or 0. */
  readonly epoch: number;
  readonly rows: StreamRows;
  readonly limits: StreamLimits;
  /** The call of the same instance that this one takes the place of. */
  readonly replaces: number | undefined;
}

/** Messages of several calls to one shard, in order. */
export interface StreamBundle {
  /** By message: its call. */
  readonly calls: readonly number[];
  /** By message: its end in `bytes`; the first begins at 0. */
  readonly ends: Uint32Array;
  /** `tephra.v1.StreamRequest` messages as they came; what is behind the last end is left over. */
  readonly bytes: Uint8Array;
  /** Unix ms. */
  readonly arrivalMs: number;
}

/** What became of a bundle. */
export interface StreamTaken {
  /** One for each call. */
  readonly reports: readonly StreamReport[];
  /** Those of the bundle: they are given back. */
  readonly bytes: Uint8Array;
}

/** A batch of which nothing was stored. */
export interface StreamRefused {
  readonly sequence: number;
  readonly error: WireError;
  /** '' if it is none of a single field. */
  readonly field: string;
}

/** What became of one call's messages of a bundle. */
export interface StreamReport {
  readonly call: number;
  readonly settled: number;
  readonly refused: readonly StreamRefused[];
  /** The epoch whose tables are gone. */
  readonly epochEnd: { readonly epoch: number; readonly error: WireError } | undefined;
  /** The call must end: what is not settled was not stored, or it is not known. */
  readonly failed: WireError | undefined;
}
