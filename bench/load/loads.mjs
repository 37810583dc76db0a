/**
 * The loads that are sent over the wire, and what is asked of them afterwards. Times are relative to
 * now, since servers refuse what is older than they keep.
 *
 * @typedef {{ name: string, ask: 'flameGraph' | 'diff' | 'pprof' | 'series', selector: string,
 *   startMs: number, endMs: number, sum: bigint }} Question the sum that the answer must have
 * @typedef {{ title: string, fleet: Fleet, minutes: number, questions: Question[] }} Load
 */
import { DAY_MS, floorTo, HOUR_MS, MINUTE_MS } from '../../dist/base/time.js';
import { Fleet } from '../fleet.mjs';

/** One hour of 10 services x 10 pods; the hour is over, so that a server may pack it. */
function fleet100(nowMs, { quick, minutes = quick ? 2 : 60 }) {
  const size = quick ? { services: 2, pods: 2, stacks: 300, draws: 200 } : {};
  const fleet = new Fleet({ ...size, startMs: floorTo(nowMs, HOUR_MS) - 2 * HOUR_MS });
  const { startMs, services, pods } = fleet;
  const endMs = startMs + minutes * MINUTE_MS - 1;
  const middleMs = startMs + (minutes / 2) * MINUTE_MS;
  const sum = BigInt(minutes * services * pods) * fleet.nanosPerProfile;
  const all = { selector: '{}', startMs, endMs, sum };
  const one = { ...all, selector: `{pod="${podOf(fleet)}"}`, sum: sum / BigInt(services * pods) };
  const many = `${minutes} min x ${services * pods} series`;
  return {
    title: `fleet-100, ${many}`,
    fleet,
    minutes,
    questions: [
      { name: `merge ${many}`, ask: 'flameGraph', ...all },
      { name: 'diff of its halves', ask: 'diff', ...all, middleMs },
      { name: 'pprof export of it', ask: 'pprof', ...all },
      { name: 'series of it by service, 60 s', ask: 'series', ...all },
      { name: `merge ${minutes} min x 1 series`, ask: 'flameGraph', ...one },
    ],
  };
}

/** One series for 30 days, back-dated; a release each day. */
function one30d(nowMs, { quick, minutes = quick ? 4 : 30 * 24 * 60 }) {
  const fleet = new Fleet({
    services: 1,
    pods: 1,
    releaseMs: DAY_MS,
    startMs: floorTo(nowMs, HOUR_MS) - HOUR_MS - Math.ceil(minutes / 60) * HOUR_MS,
  });
  const endMs = fleet.startMs + minutes * MINUTE_MS - 1;
  const last = (span) => {
    const covered = Math.min(span, minutes);
    const sum = BigInt(covered) * fleet.nanosPerProfile;
    return { selector: '{}', startMs: endMs + 1 - covered * MINUTE_MS, endMs, sum };
  };
  const day = 24 * 60;
  const month = last(30 * day);
  const middleMs = fleet.startMs + Math.floor(minutes / 2) * MINUTE_MS;
  return {
    title: `one-30d, ${minutes} min x 1 series`,
    fleet,
    minutes,
    questions: [
      { name: 'merge 1 d', ask: 'flameGraph', ...last(day) },
      { name: 'merge 7 d', ask: 'flameGraph', ...last(7 * day) },
      { name: 'merge 30 d', ask: 'flameGraph', ...month },
      { name: 'diff of the halves of 30 d', ask: 'diff', ...month, middleMs },
      { name: 'series 30 d, 1 h', ask: 'series', ...month, stepSeconds: 3_600 },
    ],
  };
}

function podOf(fleet) {
  const profile = fleet.profile(0, 0, 0);
  return profile.labels.find(([name]) => name === 'pod')[1];
}

export const LOADS = { 'fleet-100': fleet100, 'one-30d': one30d };
