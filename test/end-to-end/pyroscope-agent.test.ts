/**
 * `@pyroscope/nodejs` profiles a busy program into a fresh server. What the agent was told is stored
 * stays, over a stop and over a kill, to the last nanosecond.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { expectSame } from './check.ts';
import { sumsOfFlameGraph } from './naive-graph.ts';
import { readFileNaively, type Sums, sumsByName, totalOf } from './naive-profile.ts';
import { cleanEnvironment, type ServerProcess, Servers, tell } from './server-process.ts';

const APP = 'busy.app';
const TYPES: ReadonlyMap<string, string> = new Map([
  ['wall', 'wall:wall:nanoseconds:wall:nanoseconds'],
  ['samples', 'wall:samples:count:wall:nanoseconds'],
  ['cpu', 'process_cpu:cpu:nanoseconds:wall:nanoseconds'],
  ['inuse_objects', 'memory:inuse_objects:count:inuse_space:bytes'],
  ['inuse_space', 'memory:inuse_space:bytes:inuse_space:bytes'],
]);

/** A body that the agent sent. */
interface Sent {
  readonly body: string;
  /** Of the answer; 0 = there was none. */
  readonly status: number;
}

interface Message {
  readonly sent?: Sent;
  readonly state?: 'ready' | 'busy' | 'done';
}

/** The busy program. */
class Agent {
  readonly sent: Sent[] = [];
  readonly #child: ChildProcess;
  #state: Message['state'] = undefined;

  constructor(serverUrl: string) {
    this.#child = fork(join(import.meta.dirname, 'programs', 'agent.mjs'), [serverUrl, APP], {
      env: cleanEnvironment(),
      execArgv: [],
    });
    this.#child.on('message', (message: Message) => {
      if (message.sent !== undefined) this.sent.push(message.sent);
      if (message.state !== undefined) this.#state = message.state;
    });
  }

  ready(): Promise<void> {
    return this.#until(() => this.#state === 'ready');
  }

  /** How many bodies the server said it has stored. */
  get acknowledged(): number {
    return this.sent.filter(({ status }) => status === 200).length;
  }

  start(): void {
    this.#child.send('start');
  }

  /** Resolves when the agent has sent what it had. */
  stop(): Promise<void> {
    this.#child.send('stop');
    return this.#until(() => this.#state === 'done');
  }

  /** Waits until so many bodies more are stored. */
  sends(count: number): Promise<void> {
    const enough = this.acknowledged + count;
    return this.#until(() => this.acknowledged >= enough);
  }

  /** Waits for a message after which `condition` holds. */
  async #until(condition: () => boolean): Promise<void> {
    while (!condition()) await once(this.#child, 'message');
  }

  end(): void {
    this.#child.kill('SIGKILL');
  }
}

/** By sample type, the sums by names of all bodies of which the server said `stored`, or did not. */
function sumsOfSent(sent: readonly Sent[], wasStored: boolean): Map<string, Sums> {
  const byType = new Map<string, Sums>([...TYPES.keys()].map((type) => [type, new Map()]));
  for (const { body, status } of sent) {
    if ((status === 200) !== wasStored) continue;
    const profile = readFileNaively(Buffer.from(body, 'base64'));
    for (const { sums } of profile.series) {
      for (const [index, { type }] of profile.types.entries()) {
        const into = byType.get(type === 'sample' ? 'samples' : type) as Sums;
        for (const [names, value] of sumsByName(sums[index] as Sums)) {
          into.set(names, (into.get(names) ?? 0n) + value);
        }
      }
    }
  }
  return byType;
}

// Generous: the machine may be busy with other suites.
jest.setTimeout(90_000);

const servers = new Servers();
const startedMs = Date.now();
let server: ServerProcess;
let agent: Agent;
beforeAll(async () => {
  server = await servers.start('data');
  agent = new Agent(server.url);
  await agent.ready();
});
afterAll(async () => {
  agent.end();
  await servers.end();
  tell(`agent: ${agent.sent.length} bodies sent, ${agent.acknowledged} acknowledged, none lost`);
});

/** The sums by names that the server has of a type. */
async function stored(type: string): Promise<Sums> {
  const { flamegraph } = await server.querier.selectMergeStacktraces({
    profileTypeID: TYPES.get(type) as string,
    labelSelector: `{service_name="${APP}",region="eu"}`,
    start: BigInt(startedMs - 10_000),
    end: BigInt(Date.now() + 10_000),
    maxNodes: 1_048_576n,
  });
  if (flamegraph === undefined) throw new Error('no flame graph');
  expect(totalOf(sumsOfFlameGraph(flamegraph))).toBe(flamegraph.total);
  return sumsOfFlameGraph(flamegraph);
}

/** The server has exactly what it acknowledged. */
async function expectAcknowledged(): Promise<void> {
  const expected = sumsOfSent(agent.sent, true);
  for (const [type, sums] of expected) expectSame(await stored(type), sums, type, (names) => names);
}

async function restart(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  expect(await server.stop(signal)).toBe(signal === 'SIGTERM' ? 0 : null);
  // The agent goes on sending to the same address.
  server = await servers.start('data', '--listen', `127.0.0.1:${server.port}`);
}

const hasFunction = (sums: Sums, name: string): boolean =>
  [...sums.keys()].some((names) => names.includes(name));

describe('@pyroscope/nodejs', () => {
  test('its functions come back for wall, CPU and heap', async () => {
    agent.start();
    await agent.sends(4);
    await agent.stop();
    expect(agent.acknowledged).toBe(agent.sent.length);
    for (const type of ['wall', 'cpu']) {
      expect(hasFunction(await stored(type), 'hashForAWhile')).toBe(true);
    }
    expect(hasFunction(await stored('inuse_space'), 'keepObjects')).toBe(true);
    expect(totalOf(await stored('cpu'))).toBeGreaterThan(0n);
    await expectAcknowledged();
  });

  test('a stop and a start lose nothing, and the agent goes on', async () => {
    const before = totalOf(await stored('wall'));
    await restart('SIGTERM');
    expect(totalOf(await stored('wall'))).toBe(before);
    await expectAcknowledged();
    agent.start();
    await agent.sends(2);
    await agent.stop();
    expect(totalOf(await stored('wall'))).toBeGreaterThan(before);
    await expectAcknowledged();
  });

  test('a kill while the agent sends loses nothing that was acknowledged', async () => {
    agent.start();
    await agent.sends(2);
    await restart('SIGKILL');
    await agent.sends(2);
    await agent.stop();
    // What was in flight at the kill may be stored without anybody having been told.
    const certain = sumsOfSent(agent.sent, true);
    const unknown = sumsOfSent(agent.sent, false);
    for (const [type, sums] of certain) {
      const found = await stored(type);
      for (const names of new Set([...sums.keys(), ...found.keys()])) {
        const least = sums.get(names) ?? 0n;
        const most = least + (unknown.get(type)?.get(names) ?? 0n);
        expect(found.get(names) ?? 0n).toBeGreaterThanOrEqual(least);
        expect(found.get(names) ?? 0n).toBeLessThanOrEqual(most);
      }
    }
    expect(await server.stop()).toBe(0);
  });
});
