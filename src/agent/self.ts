import { BroadcastChannel, threadId } from 'node:worker_threads';
import type { StreamLog } from '../client/stream/stream.ts';
import { systemTimers } from '../base/clock.ts';
import type { Agent } from './agent.ts';
import { startAgent } from './start.ts';

/** Where a server streams its own profiles: to itself. */
export interface SelfProfileOptions {
  /** Its own address, as a client on this machine reaches it. */
  readonly url: string;
  readonly log: StreamLog;
}

/** Label `service_name` of a server's own profiles. */
export const SELF_SERVICE = 'tephra';

/** How long a stopping server waits for its own last profile. */
const STOP_MS = 1_000;

/** Between the main thread and workers of one process. */
const CHANNEL = 'tephra-self-profile';

/** What goes over the channel: a worker asks, the main thread says where to, and when to end. */
type Message =
  | { readonly kind: 'hello' | 'stop' }
  | { readonly kind: 'start'; readonly url: string };

/**
 * Profiles this process into the server that it is: this thread, and every worker thread that has called
 * {@link joinSelfProfile}. Returns at once; what goes wrong is a line in the log and nothing else.
 */
export function startSelfProfile(options: SelfProfileOptions): { stop(): Promise<void> } {
  const { url, log } = options;
  const channel = openChannel((message) => {
    if (message.kind === 'hello') channel.send({ kind: 'start', url });
  });
  const agent = begin(url, 'main', log);
  // Without the package here the workers do not have it either: it is told once.
  void agent.then((started) => {
    if (started !== undefined) channel.send({ kind: 'start', url });
  });
  return {
    async stop() {
      channel.send({ kind: 'stop' });
      await (await agent)?.stop(STOP_MS);
      channel.close();
    },
  };
}

/** In a worker thread: profiles it too, for as long as the main thread says. */
export function joinSelfProfile(): void {
  let agent: Promise<Agent | undefined> | undefined;
  const silent = { info: () => {}, warn: () => {} };
  const channel = openChannel((message) => {
    if (message.kind === 'start') agent ??= begin(message.url, `worker-${threadId}`, silent);
    else if (message.kind === 'stop') {
      void agent?.then((started) => started?.stop(STOP_MS));
      channel.close();
    }
  });
  channel.send({ kind: 'hello' });
}

async function begin(url: string, thread: string, log: StreamLog): Promise<Agent | undefined> {
  // After what is due now: a start is not to wait for a profiler.
  await systemTimers.yield();
  try {
    return await startAgent({
      url,
      service: SELF_SERVICE,
      labels: { thread },
      // Its own server's certificate, over its own loopback.
      tls: { rejectUnauthorized: false },
      log,
    });
  } catch (error) {
    log.warn('the server does not profile itself', { detail: String(error) });
    return undefined;
  }
}

interface Channel {
  send(message: Message): void;
  close(): void;
}

function openChannel(onMessage: (message: Message) => void): Channel {
  const channel = new BroadcastChannel(CHANNEL);
  let isOpen = true;
  Object.assign(channel, {
    onmessage: (event: { readonly data: Message }) => onMessage(event.data),
  });
  channel.unref();
  const post = channel.postMessage.bind(channel);
  return {
    send(message) {
      if (isOpen) post(message);
    },
    close() {
      isOpen = false;
      channel.close();
    },
  };
}
