import type { WireError } from '../base/errors.ts';
import type { Label } from '../profile/labels.ts';

/** One profile as an agent sent it; the payload is not decoded yet. May cross a thread. */
export interface PushItem {
  readonly tenant: string;
  /** Series labels as received, in the order received; `__name__` may be absent on `ingest`. */
  readonly labels: readonly Label[];
  /** The client's profile id, '' if none. */
  readonly profileId: string;
  /** The client's time span in Unix ms (`from`, `until` of /ingest); it wins over the body's. */
  readonly fromMs?: number | undefined;
  readonly untilMs?: number | undefined;
  readonly format: ProfileFormat;
  /** Which surface: decides how `__name__` is found and how strict labels are. */
  readonly surface: 'push' | 'ingest' | 'tephra' | 'otlp';
  /** Display names of sample types, which /ingest may send; they take part in finding `__name__`. */
  readonly displayNames?: ReadonlyMap<string, string> | undefined;
  /** The app name of /ingest as sent, without its labels: the text formats name their type in it. */
  readonly appName?: string | undefined;
  /** Hz: scales the counts of the text formats into time; ignored for pprof. */
  readonly sampleRateHz?: number | undefined;
  /** The bytes as received, gzip or plain. */
  readonly payload: Uint8Array;
  /** When it arrived, Unix ms. */
  readonly arrivalMs: number;
}

/**
 * Formats of a payload: pprof, folded text (`a;b 3`), one stack a line, or a `tephra.v1.PlainProfile`.
 */
export type ProfileFormat = 'pprof' | 'folded' | 'lines' | 'plain';

/** What became of one item. Stored and duplicate are acknowledgements: the profile is durable. */
export type PushOutcome =
  | { readonly outcome: 'stored'; readonly entries: number }
  | { readonly outcome: 'duplicate' }
  | { readonly outcome: 'empty' }
  | { readonly outcome: 'refused'; readonly error: WireError };
