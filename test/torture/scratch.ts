import { accessSync, constants, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Memory that looks like a disk, where the machine has it: what is simulated needs no real sync. */
const MEMORY = '/dev/shm';

/** A fresh folder for a campaign, in memory if it may be; its maker removes it. */
export function scratch(name: string): string {
  let base = tmpdir();
  try {
    accessSync(MEMORY, constants.W_OK);
    base = MEMORY;
  } catch {
    // The temporary directory serves as well, slower.
  }
  return mkdtempSync(join(base, `tephra-${name}-`));
}
