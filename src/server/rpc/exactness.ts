import { INT64_MAX } from '../../base/int64.ts';
import { create } from '@bufbuild/protobuf';
import {
  ExactnessSchema,
  MeanSchema,
  type Exactness,
  type Mean,
} from '../../gen/tephra/v1/exactness_pb.ts';
import { isInstantaneous } from '../../profile/instantaneous.ts';
import { parseProfileType } from '../../profile/profile-type.ts';
import type { QueryNotes } from '../../query/request.ts';
import { isExact } from './encoded.ts';

/** A value as int64, cut at its end. */
export function int64(value: bigint): bigint {
  return value > INT64_MAX ? INT64_MAX : value;
}

/** The record of an answer. `resolutionMs`: of one without edges that count whole minutes. */
export function exactnessOf(notes: QueryNotes, resolutionMs = 1): Exactness {
  return create(ExactnessSchema, {
    exact: isExact(notes),
    total: int64(notes.total),
    profiles: BigInt(notes.profiles),
    foldedValue: int64(notes.foldedValue),
    truncatedValue: int64(notes.truncatedValue),
    damagedValue: int64(notes.damagedValue),
    wholeMinutes: BigInt(notes.wholeMinutes),
    edgeAddedValue: int64(notes.edgeAddedValue),
    edgeDroppedValue: int64(notes.edgeDroppedValue),
    cutLabelsValue: int64(notes.cutLabelsValue),
    unreadProfiles: BigInt(notes.unreadProfiles),
    damagedSections: BigInt(notes.damagedSections),
    lostMinutes: BigInt(notes.lostMinutes),
    lostParts: BigInt(notes.lostParts),
    lost: notes.lost.map(({ what, startMs, endMs }) => ({
      what,
      startMs: BigInt(Math.floor(startMs)),
      endMs: BigInt(Math.floor(endMs)),
    })),
    saturated: notes.saturated,
    resolutionMs: BigInt(notes.wholeMinutes > 0 ? Math.max(60_000, resolutionMs) : resolutionMs),
    blocksRead: BigInt(notes.blocksRead),
    bytesRead: BigInt(notes.bytesRead),
  });
}

/** Whether an answer about a type has a mean over time. */
export function hasMean(profileType: string): boolean {
  return isInstantaneous(parseProfileType(profileType));
}

/** The mean over time, undefined where the type has none or nothing was sampled. */
export function meanOf(profileType: string, notes: QueryNotes): Mean | undefined {
  if (!hasMean(profileType) || notes.instants === 0) return undefined;
  return create(MeanSchema, {
    value: Number(notes.total) / notes.instants,
    instants: BigInt(notes.instants),
  });
}
