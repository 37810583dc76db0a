import type { Timers } from '../../base/clock.ts';
import { LIMITS } from '../../base/limits.ts';

/** How far the engine and the disk are behind. */
export interface Pressure {
  /** Bytes that were acknowledged and are not in columns yet. */
  readonly unabsorbedBytes: number;
  /** 99th percentile of the time of a durable write of pushes, lately. */
  readonly writeP99Ms: number;
}

/** What the governor needs. */
export interface GovernorOptions {
  /** What it governs: the credits of all requests together. */
  readonly credits: { readonly limitBytes: number; setLimit(bytes: number): void };
  readonly pressure: () => Pressure;
  readonly timers: Timers;
  /** Told the limit at each look. */
  readonly onLimit: (bytes: number) => void;
}

/** Time between two looks. */
const INTERVAL_MS = 1_000;

/**
 * Lets less in while the engine falls behind: as long as too much waits to be absorbed, or durable writes
 * take too long, the credits are halved each second; afterwards they are doubled each second up to what
 * they were. Clients then wait in their sockets, and are refused in time, while what is in flight is
 * finished. Returns what ends it.
 */
export function startGovernor({ credits, pressure, timers, onLimit }: GovernorOptions): () => void {
  const most = credits.limitBytes;
  const least = Math.min(most, LIMITS.inFlightBytesMin);
  let cancel = (): void => {};
  const look = (): void => {
    const next = isTooMuch(pressure())
      ? Math.max(least, credits.limitBytes / 2)
      : Math.min(most, credits.limitBytes * 2);
    if (next !== credits.limitBytes) credits.setLimit(next);
    onLimit(next);
    cancel = timers.after(INTERVAL_MS, look);
  };
  onLimit(most);
  cancel = timers.after(INTERVAL_MS, look);
  return () => cancel();
}

function isTooMuch({ unabsorbedBytes, writeP99Ms }: Pressure): boolean {
  return unabsorbedBytes > LIMITS.unabsorbedBytesMax || writeP99Ms > LIMITS.writeP99MsMax;
}
