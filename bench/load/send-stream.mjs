import { createHash } from 'node:crypto';
import { fromBinary } from '@bufbuild/protobuf';
import { Client, credentials } from '@grpc/grpc-js';
import { StreamResponseSchema } from '../../dist/gen/tephra/v1/stream_pb.js';
import { PodStream } from './pod-stream.mjs';

const METHOD = '/tephra.v1.IngestService/Stream';
/** Messages that are made before they are sent: making them must not cost the server its core. */
const MADE_AT_ONCE = 2_000;
const asBuffer = (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/**
 * Sends a load over `tephra.v1.IngestService/Stream`: a stream a pod, a batch a pod and minute, or one of
 * `batchMinutes` minutes. As many batches are under way as the server's window lets. Latency is from
 * sending a batch to the ack that it is durable.
 *
 * A pod's dictionary grows for as long as it sees stacks that it has not seen: the result's `steady` part is the
 * second half of the load.
 *
 * @param {import('./loads.mjs').Load} load
 */
export async function sendByStream(load, { server, batchMinutes = 1, progress }) {
  const { fleet, minutes } = load;
  const target = new URL(server.url).host;
  const pods = [];
  for (let service = 0; service < fleet.services; service++) {
    const client = new Client(target, credentials.createInsecure(), {
      'grpc.use_local_subchannel_pool': 1,
    });
    for (let pod = 0; pod < fleet.pods; pod++) pods.push(new Sender(client, fleet, service, pod));
  }
  await Promise.all(pods.map((pod) => pod.welcome));
  const result = { profiles: 0, entries: 0, bytes: 0, resent: 0, wallMs: 0, latencies: [] };
  const steady = { profiles: 0, entries: 0, cpuMs: 0, wallMs: 0 };
  const perRound = Math.max(1, Math.floor(MADE_AT_ONCE / pods.length / batchMinutes));
  let minute = 0;
  while (minute < minutes) {
    const isSteady = minute >= minutes / 2;
    progress(`streaming minute ${minute} of ${minutes}`);
    const round = { profiles: 0, entries: 0 };
    for (let i = 0; i < perRound && minute < minutes; i++) {
      const span = Math.min(batchMinutes, minutes - minute);
      const covered = Array.from({ length: span }, (_, k) => minute + k);
      for (const pod of pods) {
        const { entries, bytes } = pod.prepare(covered);
        round.entries += entries;
        round.profiles += span;
        result.bytes += bytes;
      }
      minute += span;
    }
    const cpuBefore = server.cpuMs();
    const started = performance.now();
    await Promise.all(pods.map((pod) => pod.sendAll(result.latencies)));
    const wallMs = performance.now() - started;
    result.wallMs += wallMs;
    result.profiles += round.profiles;
    result.entries += round.entries;
    if (!isSteady) continue;
    steady.profiles += round.profiles;
    steady.entries += round.entries;
    steady.cpuMs += server.cpuMs() - cpuBefore;
    steady.wallMs += wallMs;
  }
  await Promise.all(pods.map((pod) => pod.end()));
  return { ...result, steady };
}

/** One stream: what waits, what is under way, and what the server said. */
class Sender {
  #stream;
  #call;
  #waiting = [];
  /** Time at which each batch was sent, by sequence. */
  #sentMs = new Map();
  #settled = 0;
  #sent = 0;
  #window = { batches: 1, bytes: 0n };
  #bytes = new Map();
  #latencies = [];
  #done = () => {};
  #failed = () => {};

  constructor(client, fleet, service, pod) {
    this.#stream = new PodStream(fleet, service, pod);
    this.#call = client.makeBidiStreamRequest(METHOD, asBuffer, asBuffer);
    const name = `${fleet.seed}-${service}-${pod}-${fleet.startMs}-${process.pid}`;
    const instance = createHash('md5').update(name).digest();
    this.welcome = new Promise((resolve, reject) => {
      this.#failed = reject;
      this.#call.on('data', (bytes) => {
        const { message } = fromBinary(StreamResponseSchema, bytes);
        if (message.case === 'ack') this.#ack(message.value);
        else {
          this.#window = message.value.window;
          resolve();
        }
      });
      this.#call.on('error', (error) => this.#failed(error));
    });
    this.#call.write(this.#stream.open(instance));
  }

  prepare(minutes) {
    const batch = this.#stream.batch(minutes);
    this.#waiting.push(batch.bytes);
    return { entries: batch.entries, bytes: batch.bytes.byteLength };
  }

  /** Sends what waits; resolves when all of it is settled. */
  sendAll(latencies) {
    this.#latencies = latencies;
    return new Promise((resolve, reject) => {
      this.#done = resolve;
      this.#failed = reject;
      this.#pump();
    });
  }

  end() {
    return new Promise((resolve) => {
      this.#call.once('status', resolve);
      this.#call.end();
    });
  }

  #pump() {
    while (this.#waiting.length > 0 && this.#maySend(this.#waiting[0].byteLength)) {
      const bytes = this.#waiting.shift();
      this.#sent++;
      this.#sentMs.set(this.#sent, performance.now());
      this.#bytes.set(this.#sent, bytes.byteLength);
      this.#call.write(bytes);
    }
    if (this.#waiting.length === 0 && this.#settled === this.#sent) this.#done();
  }

  #maySend(size) {
    if (this.#settled === this.#sent) return true;
    if (this.#sent - this.#settled >= this.#window.batches) return false;
    let underWay = size;
    for (const bytes of this.#bytes.values()) underWay += bytes;
    return underWay <= Number(this.#window.bytes);
  }

  #ack({ settled, refused, epochEnd, window }) {
    if (refused.length > 0 || epochEnd !== undefined) {
      this.#failed(new Error(`the server refused: ${refused[0]?.reason ?? epochEnd?.reason}`));
      return;
    }
    if (window !== undefined) this.#window = window;
    const now = performance.now();
    while (this.#settled < Number(settled)) {
      this.#settled++;
      this.#latencies.push(now - this.#sentMs.get(this.#settled));
      this.#sentMs.delete(this.#settled);
      this.#bytes.delete(this.#settled);
    }
    this.#pump();
  }
}
