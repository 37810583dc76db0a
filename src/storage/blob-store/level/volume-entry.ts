import { assert } from '../../../base/assert.ts';
import type { AbortSlot } from './abort-slots.ts';
import type { LevelWrite } from './handle.ts';
import type { OpenVolume } from './open-volume.ts';

/**
 * What the registry knows of one volume. At most one of `opening`, `volume` and `closing` is set;
 * `volume` is only taken away while nobody uses it.
 */
export class VolumeEntry {
  readonly name: string;
  readonly kind: string;
  readonly period: string;
  /** Whether its directory is there. */
  exists: boolean;
  /** To be examined before it is opened. */
  suspect = false;
  /** Was in use at two deaths of the process lately. */
  struck = false;
  /** Why it is set aside, if it is. */
  quarantine: string | undefined;
  /** The open volume. */
  volume: OpenVolume | undefined;
  /** Bytes of the write buffer that it was opened with last. */
  bufferBytes = 0;
  /** To be written when it is opened, before anything else; see CommitQueue.undo. */
  undo: readonly LevelWrite[] = [];
  /** Rejects where opening fails. */
  opening: Promise<void> | undefined;
  /** Never rejects. */
  closing: Promise<void> | undefined;
  dropping: Promise<void> | undefined;
  /** Whether this process has seen how much of it is of no use. */
  looked = false;
  /** Whether it could not be written anew: the same tables would fail it again. */
  tough = false;
  /** Bytes that its handle had removed when it was looked at, and written at the last check. */
  removedBefore = 0;
  writtenBefore = 0;
  /** Monotonic time of the last use. */
  usedMs = 0;
  readonly #slot: AbortSlot;
  #uses = 0;
  #waiting: (() => void)[] = [];

  constructor(name: string, slot: AbortSlot, exists: boolean) {
    const [kind, period] = name.split('/');
    assert(kind !== undefined && period !== undefined, `not a volume: ${name}`);
    this.name = name;
    this.kind = kind;
    this.period = period;
    this.#slot = slot;
    this.exists = exists;
  }

  /** Whether an operation is under way. */
  get inUse(): boolean {
    return this.#uses > 0;
  }

  /** Begins a use. */
  pin(): void {
    if (this.#uses === 0) this.#slot.mark();
    this.#uses++;
  }

  /** Ends a use. */
  unpin(): void {
    assert(this.#uses > 0, `${this.name} released more often than taken`);
    this.#uses--;
    if (this.#uses > 0) return;
    this.#slot.clear();
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  /** Resolves when no operation is under way. */
  async unused(): Promise<void> {
    while (this.inUse) {
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
    }
  }

  /** Resolves when it neither opens nor closes. */
  async settled(): Promise<void> {
    while (this.opening !== undefined || this.closing !== undefined) {
      // Those who wait for the opening hear of its failure.
      await this.opening?.catch(() => {});
      await this.closing;
    }
  }
}
