import { holdingTimers } from '../../base/clock.ts';
import { systemFileSystem } from '../../base/file-system.ts';
import { systemRandom } from '../../base/random.ts';
import { readClientConfig } from '../client-config.ts';
import { configOf } from '../config-flags.ts';
import { CliError, EXIT, takesColor, type CliIo } from '../io.ts';
import { jsonText } from '../json.ts';
import { readMachine } from '../machine.ts';
import { printable } from '../printable.ts';
import { checkDirectory } from './directory.ts';
import { bad, ok, type Finding, type State } from './finding.ts';
import { checkPort } from './port.ts';
import { checkMemory, checkModules, checkNode, checkOpenFiles, checkVariables } from './process.ts';

const INK: Readonly<Record<State, string>> = { ok: '34', warn: '33', bad: '1;31' };

/** Runs every check; resolves with the exit code. Throws for a configuration that is not understood. */
export async function runDoctor(
  { json, ...options }: Record<string, unknown>,
  io: CliIo,
): Promise<number> {
  const { config } = configOf(options, io);
  const deps = {
    clock: io.clock,
    timers: holdingTimers,
    random: systemRandom,
    fs: systemFileSystem,
  };
  const modules = checkModules();
  const findings: Finding[] = [checkNode(process.versions.node), ...modules];
  const canLoad = modules.every(({ state }) => state !== 'bad');
  const tryDirectory = async (path: string): Promise<{ incarnation: number }> => {
    const { tryDataDirectory } = await import('../../offline.ts');
    return tryDataDirectory(path, deps);
  };
  if (canLoad) {
    findings.push(...(await checkDirectory(config.dataDir, config.ballast, tryDirectory, io)));
  }
  findings.push(
    await checkPort(config.listen),
    checkMemory(readMachine(), config.maxInFlight),
    checkOpenFiles(),
    checkVariables(io.environment),
    checkClientFile(io),
  );
  const isWell = findings.every(({ state }) => state !== 'bad');
  if (json === true) {
    const told = findings.map((finding) => ({ ...finding }));
    for (const piece of jsonText({ kind: 'doctor', well: isWell, findings: told })) {
      io.out.write(piece);
    }
  } else {
    for (const finding of findings) io.out.write(lineOf(finding, takesColor(io, io.out)));
  }
  return isWell ? EXIT.done : EXIT.unwell;
}

function checkClientFile(io: CliIo): Finding {
  try {
    const { url } = readClientConfig(io);
    return ok('client', url === undefined ? 'no file names a server' : `queries go to ${url}`);
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    return bad('client', error.message, 'correct the file, or remove it');
  }
}

const CHECK_WIDTH = 9;

function lineOf({ check, state, found, advice }: Finding, color: boolean): string {
  const mark = color ? `\u001b[${INK[state]}m${state.padEnd(4)}\u001b[0m` : state.padEnd(4);
  const first = `${mark}  ${check.padEnd(CHECK_WIDTH)}  ${printable(found)}\n`;
  if (advice === undefined) return first;
  return `${first}${' '.repeat(6 + CHECK_WIDTH)}  ${printable(advice)}\n`;
}
