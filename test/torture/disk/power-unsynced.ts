import { Level } from 'level';

/** The negative control of a power cut: what every batch asks for is not asked for. */
export function withoutSync(): void {
  const batch = Level.prototype.batch as (...args: unknown[]) => unknown;
  Object.assign(Level.prototype, {
    batch(this: unknown, operations: unknown, options: object) {
      return batch.call(this, operations, { ...options, sync: false });
    },
  });
}
