import type { MessageInitShape } from '@bufbuild/protobuf';
import {
  PushOutcome,
  type PushProfileSchema,
  type PushResult as ResultMessage,
} from '../gen/tephra/v1/ingest_pb.ts';
import { encodePlain, type PlainProfile } from './plain.ts';
import { unixMs, type Time } from './selection.ts';

/** A profile to store. */
export interface PushProfile {
  /**
   * Labels of the series. `__name__` names the family of types (`process_cpu`, `memory`, …) and is
   * required, `service_name` says whose profile it is.
   */
  readonly labels: Readonly<Record<string, string>>;
  /** The same id with the same labels, time and payload is stored once. */
  readonly id?: string | undefined;
  /** Start; default: that of the payload, else the arrival. */
  readonly start?: Time | undefined;
  /** End; default: that of the payload. */
  readonly end?: Time | undefined;
  /** Bytes of a pprof profile, gzip or plain; or a profile in plain words. */
  readonly payload: Uint8Array | PlainProfile;
}

/** What became of a profile. */
export type PushResult =
  | { readonly outcome: 'stored'; readonly entries: number }
  | { readonly outcome: 'duplicate' | 'empty' }
  | {
      readonly outcome: 'refused';
      /** As listed in docs/errors.md. */
      readonly reason: string;
      readonly message: string;
      readonly retryable: boolean;
    };

/** A profile as a message. Throws {@link TephraClientError}. */
export function profileMessage(
  profile: PushProfile,
  nowMs: number,
): MessageInitShape<typeof PushProfileSchema> {
  const { labels, id = '', start, end, payload } = profile;
  return {
    labels: labelMessages(labels),
    id,
    startMs: start === undefined ? 0n : unixMs('start', start, nowMs),
    endMs: end === undefined ? 0n : unixMs('end', end, nowMs),
    payload:
      // Not by instanceof: bytes may come from another realm.
      ArrayBuffer.isView(payload)
        ? { case: 'pprof', value: payload }
        : { case: 'plain', value: encodePlain(payload) },
  };
}

/** Whether a profile may be sent again: it has what the server knows it by. An id of zeros is none. */
export function countsOnce({ id = '', start }: PushProfile): boolean {
  return start !== undefined || !/^[0-]*$/.test(id);
}

/** Labels as messages, in the order of the record. */
export function labelMessages(
  labels: Readonly<Record<string, string>>,
): { readonly name: string; readonly value: string }[] {
  return Object.entries(labels).map(([name, value]) => ({ name, value }));
}

/** A result as the client gives it. */
export function resultOf(result: ResultMessage): PushResult {
  switch (result.outcome) {
    case PushOutcome.STORED:
      return { outcome: 'stored', entries: Number(result.entries) };
    case PushOutcome.DUPLICATE:
      return { outcome: 'duplicate' };
    case PushOutcome.EMPTY:
      return { outcome: 'empty' };
    default: {
      const { reason, message, retryable } = result;
      return { outcome: 'refused', reason, message, retryable };
    }
  }
}
