import { systemClock, systemTimers } from '../base/clock.ts';
import { systemRandom } from '../base/random.ts';
import { Agent, type AgentDeps } from './agent.ts';
import { hasContextFrame } from './context.ts';
import type { AgentOptions } from './options.ts';
import { loadProfiler } from './profiler.ts';

/** What is told once where the profiler is not there. */
export const NO_PROFILER = 'not profiled: the package @datadog/pprof is not there';

/**
 * Starts an agent in this thread; undefined, with one line in the log, where the optional package
 * `@datadog/pprof` is not there. Throws {@link TephraClientError} if the address or labels are wrong.
 */
export async function startAgent(
  options: AgentOptions,
  deps: Partial<AgentDeps> = {},
): Promise<Agent | undefined> {
  const profiler = deps.profiler ?? (await loadProfiler());
  if (typeof profiler === 'string') {
    options.log?.warn(NO_PROFILER, { detail: profiler, fix: 'npm install @datadog/pprof' });
    return undefined;
  }
  const { node } = process.versions;
  return new Agent(options, {
    clock: systemClock,
    timers: systemTimers,
    random: systemRandom,
    contextFrame: hasContextFrame(),
    about: `node ${node}`,
    ...deps,
    profiler,
  });
}
