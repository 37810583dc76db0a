/** Opens a damaged directory as `verify` and as the server would, and compares with the model. */
import { holdingTimers } from '../../../src/base/clock.ts';
import { TephraError } from '../../../src/base/errors.ts';
import { systemRandom } from '../../../src/base/random.ts';
import { dayName } from '../../../src/base/time.ts';
import { openOffline } from '../../../src/storage/data-directory/open-offline.ts';
import type { Finding } from '../../../src/storage/ledger/finding.ts';
import { verifyStore } from '../../../src/storage/verify/verify-directory.ts';
import { type Marker, Opened, OPEN_MS, unsynced } from './fixture.ts';
import type { Harm } from './harm.ts';

/** What became of one damage. */
export interface Verdict {
  /** `none`: everything was right and nothing was said. */
  readonly outcome: 'none' | 'told' | 'costs' | 'refused';
  readonly wrong: number;
  readonly failures: readonly string[];
}

/** Reasons by which a start may be refused, and only if the damage is not in a volume. */
const REFUSALS = new Set(['data_dir_unusable', 'unknown_format_version']);

/** Runs `verify` and a start over the directory. */
export async function check(
  path: string,
  markers: readonly Marker[],
  harms: readonly Harm[],
  isAgain: boolean,
): Promise<Verdict> {
  const failures: string[] = [];
  // A first try runs without the child that reads a volume before it is opened: most need none.
  const suspectCheck = isAgain ? {} : { suspectCheck: async () => 'sound' as const };
  let verified: readonly Finding[] | string;
  try {
    verified = await verify(path, suspectCheck);
  } catch (thrown) {
    verified = TephraError.from(thrown).reason;
  }
  let opened: Opened;
  try {
    opened = await Opened.open(path, () => OPEN_MS);
  } catch (thrown) {
    const { reason, message } = TephraError.from(thrown);
    if (!REFUSALS.has(reason) || harms.every(({ file }) => file.startsWith('volumes/'))) {
      failures.push(`the start was refused: ${message}`);
    }
    if (verified !== reason) failures.push(`verify said ${JSON.stringify(verified)}`);
    return { outcome: 'refused', wrong: 0, failures };
  }
  try {
    // Jobs must neither fail nor spread what is damaged.
    await opened.engine.runJobs(OPEN_MS).catch((thrown: unknown) => {
      failures.push(`jobs: ${TephraError.from(thrown).message}`);
    });
    let wrong = 0;
    let told = opened.directory.findings().length > 0;
    const doubts: string[] = [];
    for (const service of new Set(markers.map((marker) => marker.service))) {
      const own = markers.filter((marker) => marker.service === service);
      const { ticks, notes } = await opened.leaves(service);
      const says = notes.lostParts > 0 || notes.damagedStacks > 0;
      told ||= says;
      let missing = 0n;
      for (const marker of own) {
        const { leaf, ticks: expected } = marker;
        const found = ticks.get(leaf) ?? 0n;
        ticks.delete(leaf);
        if (found === BigInt(expected)) continue;
        wrong++;
        missing += BigInt(expected) - found;
        if (found > expected) failures.push(`${leaf} of ${service}: ${found}, pushed ${expected}`);
        if (mustStand(marker, harms)) {
          failures.push(`${leaf} of ${service} is ${found}, though no harmed file has any of it`);
        }
      }
      const damaged = ticks.get('(damaged)') ?? 0n;
      ticks.delete('(damaged)');
      for (const name of ticks.keys()) failures.push(`${service} has ${name}, never pushed`);
      if (damaged > missing) failures.push(`${service}: ${damaged} damaged of ${missing} missing`);
      if (missing > 0n && !says && damaged < missing) doubts.push(`${service} lacks ${missing}`);
    }
    const findings = opened.directory.findings();
    // An answer that lacks something says so, or the server said it at its start.
    if (doubts.length > 0 && findings.length === 0) failures.push(`silent: ${doubts.join(', ')}`);
    told ||= findings.length > 0;
    const said = typeof verified === 'string' ? 1 : verified.length;
    if (wrong > 0 && said === 0) failures.push(`verify said nothing of ${wrong} wrong markers`);
    if (typeof verified === 'string') failures.push(`verify failed: ${verified}`);
    told ||= said > 0;
    return { outcome: wrong > 0 ? 'costs' : told ? 'told' : 'none', wrong, failures };
  } catch (thrown) {
    failures.push(`a query failed: ${TephraError.from(thrown).message}`);
    return { outcome: 'costs', wrong: 0, failures };
  } finally {
    await opened.close();
  }
}

async function verify(
  path: string,
  options: { suspectCheck?: () => Promise<'sound'> },
): Promise<Finding[]> {
  const clock = { nowMs: () => OPEN_MS, monotonicMs: () => performance.now() };
  const deps = { clock, timers: holdingTimers, random: systemRandom, fs: unsynced };
  const directory = await openOffline({
    path,
    examine: !('suspectCheck' in options),
    ...deps,
    ...options,
  });
  try {
    return await verifyStore({
      store: directory.store,
      random: systemRandom,
      marks: () => directory.highWater.read(),
      incarnation: directory.incarnation,
      stats: () => directory.store.stats(),
      deep: true,
      onProgress: () => {},
    });
  } finally {
    await directory.close();
  }
}

/** Whether no harmed file holds anything that the marker's value depends on. */
function mustStand(marker: Marker, harms: readonly Harm[]): boolean {
  const touches = (folder: string): boolean =>
    harms.some(({ file, detail }) => `${file} ${detail}`.includes(`volumes/${folder}/`));
  if (touches(`minutes/${dayName(marker.dayMs)}`)) return false;
  return marker.absorbed || !touches(marker.rawVolume);
}
