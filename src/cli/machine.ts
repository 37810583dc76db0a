import { readFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { usableCores } from '../config/cores.ts';
import { usableMemory } from '../config/memory.ts';

/** What this process may use. */
export interface Machine {
  readonly cores: number;
  readonly memoryBytes: number;
}

/** Asks the machine and the control group. */
export function readMachine(): Machine {
  return {
    cores: usableCores(availableParallelism(), readCpuQuota()),
    memoryBytes: usableMemory(totalmem(), process.constrainedMemory()),
  };
}

/** The CPU quota of the control group, undefined where there is none. */
function readCpuQuota(): string | undefined {
  try {
    return readFileSync('/sys/fs/cgroup/cpu.max', 'utf8');
  } catch {
    return undefined;
  }
}
