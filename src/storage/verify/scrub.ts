import { type Clock, sleep, type Timers } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import { TephraError } from '../../base/errors.ts';
import type { BlobStore } from '../blob-store/contract.ts';
import type { Finding } from '../ledger/finding.ts';
import { checkVolume } from './check-volume.ts';

/** What a scrub needs. */
export interface ScrubOptions {
  readonly store: BlobStore;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  /** How fast it reads on average; 0 = not at all. */
  readonly bytesPerSecond: number;
  readonly onFinding: (finding: Finding) => void;
}

/** A scrub that runs. */
export interface Scrub {
  /** Bytes and blobs read, and times that it came round, since the start. */
  readonly counts: { bytes: number; blobs: number; rounds: number };
  /** Ends it; resolves when it has let go of the store. */
  stop(): Promise<void>;
}

/** Pause between two rounds, and after a failure that says nothing about the bytes. */
const REST_MS = 60_000;
/** The scrub sleeps once it is this far ahead of its rate, so that timers cost nothing. */
const AHEAD_MS = 50;

/**
 * Reads all that is stored, again and again, at a bounded rate: damage is found while the raw tier or a
 * backup still has what it costs, and not when somebody asks for it.
 */
export function startScrub(options: ScrubOptions): Scrub {
  const { store, clock, timers, random, bytesPerSecond, onFinding } = options;
  const counts = { bytes: 0, blobs: 0, rounds: 0 };
  let stopped = bytesPerSecond === 0;
  let wake = (): void => {};
  const rest = (ms: number): Promise<void> =>
    Promise.race([
      sleep(timers, ms),
      new Promise<void>((resolve) => {
        wake = resolve;
      }),
    ]);
  const round = async (): Promise<void> => {
    const startedMs = clock.monotonicMs();
    let bytes = 0;
    for (const kind of ['raw', 'minutes']) {
      for (const volume of await store.listVolumes(kind)) {
        await checkVolume(volume, {
          store,
          random,
          deep: false,
          onFinding,
          async onBlob(_, size) {
            if (stopped) throw new TephraError('draining', 'the scrub is stopping');
            counts.blobs++;
            counts.bytes += size;
            bytes += size;
            const aheadMs = (bytes / bytesPerSecond) * 1_000 - (clock.monotonicMs() - startedMs);
            if (aheadMs > AHEAD_MS) await rest(aheadMs);
          },
        });
      }
    }
    counts.rounds++;
  };
  const run = async (): Promise<void> => {
    for (;;) {
      if (stopped) return;
      await rest(REST_MS);
      if (stopped) return;
      // A full disk, a store that closes: the next round looks again.
      await round().catch(() => {});
    }
  };
  const running = run();
  return {
    counts,
    stop() {
      stopped = true;
      wake();
      return running;
    },
  };
}
