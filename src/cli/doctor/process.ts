import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { isErrorLike } from '../../base/errors.ts';
import { unknownVariables } from '../../config/load.ts';
import { budgetBytes } from '../../config/memory.ts';
import { formatBytes } from '../../config/values.ts';
import { counted } from '../counted.ts';
import { formatValue } from '../forms/units.ts';
import type { Machine } from '../machine.ts';
import { bad, ok, warn, type Finding } from './finding.ts';

/** The oldest Node that is tested: major, minor. */
const NODE_LEAST = [20, 19] as const;
/** Sockets and the tables of LevelDB are open files. */
const OPEN_FILES_WANTED = 4_096;

/** Whether this Node is one that is tested. */
export function checkNode(version: string): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [leastMajor, leastMinor] = NODE_LEAST;
  const isNew = major > leastMajor || (major === leastMajor && minor >= leastMinor);
  const found = `Node ${version}`;
  if (!isNew) return bad('node', found, `install Node ${NODE_LEAST.join('.')} or newer`);
  return ok('node', found);
}

/** Whether the native modules were built for this machine, by loading them. */
export function checkModules(): Finding[] {
  const require = createRequire(import.meta.url);
  const load = (name: string): string | undefined => {
    try {
      require(name);
      return undefined;
    } catch (error) {
      return isErrorLike(error) ? (error.message.split('\n', 1)[0] ?? '') : String(error);
    }
  };
  const store = load('level');
  const profiler = load('@datadog/pprof');
  return [
    store === undefined
      ? ok('leveldb', `loads on ${process.platform}-${process.arch}`)
      : bad('leveldb', store, 'install the packages again on this machine: npm ci'),
    profiler === undefined
      ? ok('profiler', '@datadog/pprof loads: Tephra can profile itself')
      : warn(
          'profiler',
          `@datadog/pprof does not load: ${profiler}`,
          'Tephra serves without profiles of itself; npm install @datadog/pprof brings them',
        ),
  ];
}

/** Whether what the budgets add up to is there. */
export function checkMemory(machine: Machine, inFlightBytes: number): Finding {
  const budget = budgetBytes(inFlightBytes);
  const bytes = (amount: number): string => formatValue(BigInt(Math.round(amount)), 'bytes');
  const found = `${bytes(machine.memoryBytes)} usable, budgets add up to ${bytes(budget)}; ${counted(machine.cores, 'core')}`;
  if (budget <= machine.memoryBytes) return ok('memory', found);
  return warn(
    'memory',
    found,
    `give it more, or hold less of requests: --max-in-flight ${formatBytes(16 * 1024 * 1024)}`,
  );
}

/** Whether enough files may be open. */
export function checkOpenFiles(): Finding {
  let limits: string;
  try {
    limits = readFileSync('/proc/self/limits', 'utf8');
  } catch {
    return ok('files', 'no bound on open files is known here');
  }
  const soft = /^Max open files\s+(\S+)/m.exec(limits)?.[1] ?? 'unlimited';
  const found = `${soft} files may be open`;
  if (soft === 'unlimited' || Number(soft) >= OPEN_FILES_WANTED) return ok('files', found);
  return warn('files', found, 'raise it: ulimit -n 65536, or LimitNOFILE=65536 in a systemd unit');
}

/** Variables that look like ours and mean nothing. */
export function checkVariables(environment: Readonly<Record<string, string | undefined>>): Finding {
  const unknown = unknownVariables(environment);
  if (unknown.length === 0) return ok('variables', 'every TEPHRA_ variable means something');
  return warn(
    'variables',
    `${unknown.join(', ')} means nothing`,
    'see docs/configuration.md for the names, or remove it',
  );
}
