import { ProtoWriter } from '../proto-writer.mjs';
import { ConnectClient } from './connect.mjs';

/** Profiles that are made before they are sent: making them must not cost the server its core. */
const MADE_AT_ONCE = 1_000;
/** Tries of one profile before the run fails. */
const TRIES = 20;

/**
 * Sends a load over `push.v1.PusherService/Push`, one profile a request, minute by minute.
 *
 * With `rate` the sender is open: profile i is due at i / rate seconds whatever became of those before
 * it, and its latency counts from then. Without, `inFlight` requests are kept under way.
 *
 * @param {import('./loads.mjs').Load} load
 * @param {{ url: string, inFlight: number, rate?: number, progress: (text: string) => void }} options
 */
export async function send(load, { url, inFlight, rate, progress }) {
  const client = new ConnectClient(url, inFlight);
  const result = { profiles: 0, entries: 0, bytes: 0, resent: 0, wallMs: 0, latencies: [] };
  const { services, pods } = load.fleet;
  const all = load.minutes * services * pods;
  for (let made = 0; made < all; made += MADE_AT_ONCE) {
    const bodies = [];
    for (let i = made; i < Math.min(all, made + MADE_AT_ONCE); i++) {
      const minute = Math.floor(i / (services * pods));
      const series = i % (services * pods);
      const profile = load.fleet.profile(Math.floor(series / pods), series % pods, minute);
      result.entries += profile.stacks;
      result.bytes += profile.payload.byteLength;
      bodies.push(encodePush(profile));
    }
    progress(`sending ${made} of ${all} profiles`);
    const started = performance.now();
    await sendAll(client, bodies, { inFlight, rate, started, result });
    result.wallMs += performance.now() - started;
    result.profiles += bodies.length;
  }
  client.close();
  return result;
}

async function sendAll(client, bodies, { inFlight, rate, started, result }) {
  let next = 0;
  const worker = async () => {
    while (next < bodies.length) {
      const i = next++;
      let dueMs = performance.now();
      if (rate !== undefined) {
        dueMs = started + (i * 1_000) / rate;
        await delayUntil(dueMs);
      }
      await sendOne(client, bodies[i], result);
      result.latencies.push(performance.now() - dueMs);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
}

/** A profile that was refused for now is sent again: the same bytes count once. */
async function sendOne(client, body, result) {
  for (let tries = 1; ; tries++) {
    try {
      return await client.call('push.v1.PusherService/Push', body);
    } catch (error) {
      // A connection that lay idle may be closed by the server just as it is used again.
      const again = error.code === 'ECONNRESET' || /"unavailable"/.test(String(error));
      if (tries === TRIES || !again) throw error;
      result.resent++;
      await delayUntil(performance.now() + 200 * tries);
    }
  }
}

function delayUntil(dueMs) {
  const waitMs = dueMs - performance.now();
  return waitMs <= 0 ? undefined : new Promise((resolve) => setTimeout(resolve, waitMs));
}

function encodePush({ labels, payload }) {
  const body = new ProtoWriter(payload.byteLength + 512);
  body.message(1, (series) => {
    for (const [name, value] of labels) {
      series.message(1, (label) => label.text(1, name).text(2, value));
    }
    series.message(2, (sample) => sample.bytes(1, payload));
  });
  return body.finish();
}
