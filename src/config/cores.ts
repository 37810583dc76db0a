/**
 * Cores that this process may use: those of the machine, bounded by the quota of its control group
 * (`cpu.max` of cgroup v2: `max 100000` or `150000 100000`), at least 1.
 *
 * Source: https://docs.kernel.org/admin-guide/cgroup-v2.html, "cpu.max".
 */
export function usableCores(machineCores: number, cpuMax: string | undefined): number {
  const match = /^(\d+) (\d+)/.exec(cpuMax ?? '');
  const quota = match === null ? machineCores : Math.floor(Number(match[1]) / Number(match[2]));
  return Math.max(1, Math.min(machineCores, quota));
}

/** Worker threads where the configuration names none: one core is left to sockets and the store. */
export function defaultWorkers(cores: number): number {
  return Math.max(1, cores - 1);
}
