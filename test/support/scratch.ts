import { tmpdir } from 'node:os';
import { systemTimers } from '../../src/base/clock.ts';
import { systemFileSystem } from '../../src/base/file-system.ts';
import { systemRandom } from '../../src/base/random.ts';
import { Scratch, type ScratchOptions } from '../../src/storage/scratch/scratch.ts';

/** A scratch in the system's folder for such files, which leaves nothing there. */
export function temporaryScratch(options: Partial<ScratchOptions> = {}): Scratch {
  return new Scratch({
    directory: tmpdir(),
    fs: systemFileSystem,
    timers: systemTimers,
    random: systemRandom,
    ...options,
  });
}
