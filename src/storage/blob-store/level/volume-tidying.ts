import type { Clock, Timers } from '../../../base/clock.ts';
import { LIMITS } from '../../../base/limits.ts';
import { COMPACTION_BYTES, Compactor, isWorthALook } from './compaction.ts';
import type { VolumeEntry } from './volume-entry.ts';
import { isHot } from './volume-options.ts';

const IDLE_CHECK_MS = 60_000;

/** What a {@link VolumeTidying} needs. */
export interface VolumeTidyingOptions {
  readonly entries: ReadonlyMap<string, VolumeEntry>;
  readonly clock: Clock;
  readonly timers: Timers;
  /** Begins to close an open volume that nobody uses. */
  readonly close: (entry: VolumeEntry) => void;
  /** Whether there is room on the disk to write so many bytes beside the rest. */
  readonly hasRoom: (bytes: number) => Promise<boolean>;
}

/** Chooses which open volumes close, and has those written anew of which much is of no use. */
export class VolumeTidying {
  readonly #options: VolumeTidyingOptions;
  readonly #compactor: Compactor;
  #cancelCheck: () => void = () => {};
  #running: Promise<void> | undefined;
  #stopped = false;

  constructor(options: VolumeTidyingOptions) {
    this.#options = options;
    this.#compactor = new Compactor({
      entries: options.entries,
      clock: options.clock,
      mayCompact: (entry) => this.#mayCompact(entry),
    });
  }

  /** How often a volume was written anew. */
  get compactions(): number {
    return this.#compactor.count;
  }

  /** Tidies each minute from now on. */
  start(): void {
    this.#cancelCheck = this.#options.timers.after(IDLE_CHECK_MS, () => {
      void this.run();
      this.start();
    });
  }

  /** Ends between two ranges of what is written anew, and begins nothing any more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelCheck();
    await this.#running;
  }

  /** Closes what was not used for a while, writes anew what is worth it. One at a time; never rejects. */
  run(): Promise<void> {
    this.#closeIdle();
    this.#running ??= this.#compactAll().finally(() => (this.#running = undefined));
    return this.#running;
  }

  /** Closes the least recently used volumes above the limit; hot ones stay. */
  trim(): void {
    const open: VolumeEntry[] = [];
    for (const entry of this.#options.entries.values()) if (isSound(entry)) open.push(entry);
    let excess = open.length - LIMITS.volumesOpenMax;
    if (excess <= 0) return;
    const nowMs = this.#options.clock.nowMs();
    open.sort((a, b) => a.usedMs - b.usedMs);
    for (const entry of open) {
      if (excess <= 0) return;
      if (entry.inUse || isHot(entry.kind, entry.period, nowMs)) continue;
      this.#options.close(entry);
      excess--;
    }
  }

  #closeIdle(): void {
    for (const entry of this.#options.entries.values()) {
      if (isSound(entry) && this.#isIdle(entry) && !isWorthALook(entry, true)) {
        this.#options.close(entry);
      }
    }
  }

  async #compactAll(): Promise<void> {
    for (const entry of this.#options.entries.values()) {
      if (!isSound(entry) || !isWorthALook(entry, this.#isIdle(entry))) continue;
      entry.pin();
      await this.#compactor.compact(entry);
      entry.unpin();
      if (isSound(entry) && (entry.tough || this.#isIdle(entry))) this.#options.close(entry);
    }
    this.#compactor.checked();
  }

  #isIdle({ usedMs, kind, period }: VolumeEntry): boolean {
    const { clock } = this.#options;
    return (
      usedMs <= clock.monotonicMs() - LIMITS.volumeIdleMs && !isHot(kind, period, clock.nowMs())
    );
  }

  /** Whether a volume may be written anew now, as far as the store and the disk go. */
  async #mayCompact(entry: VolumeEntry): Promise<boolean> {
    if (this.#stopped || entry.dropping !== undefined || !isSound(entry)) return false;
    return this.#options.hasRoom(COMPACTION_BYTES);
  }
}

/** Whether it is open, and may be closed and opened again: on a full disk it could not be. */
function isSound({ volume }: VolumeEntry): boolean {
  return volume !== undefined && volume.poison === undefined;
}
