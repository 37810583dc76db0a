/**
 * The agent in a busy HTTP server, over a stop, a kill and an outage of Tephra. Everything that it saw
 * settled is stored, to the last nanosecond, and nothing else; where its buffer is too small for the outage it
 * drops, counts and tells. The outage lasts 3 s, or TEPHRA_OUTAGE_SECONDS (`npm run prove:agent`).
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, describe, expect, jest, test } from '@jest/globals';
import { connect } from '../../src/client/index.ts';
import {
  cleanEnvironment,
  Servers,
  tell,
  type ServerProcess,
} from '../end-to-end/server-process.ts';

const OUTAGE_MS = Number(process.env['TEPHRA_OUTAGE_SECONDS'] ?? 3) * 1_000;
const SERVICE = 'busy-shop';
/** Of another such server, whose agent has room for a flush or two. */
const SMALL = 'small-shop';
const SMALL_BYTES = '12000';

interface Message {
  readonly log?: string;
  readonly state?: 'busy' | 'done';
  readonly isStored?: boolean;
  readonly sums?: Record<string, string>;
  readonly stats?: {
    readonly connections: number;
    readonly settledBatches: number;
    readonly droppedEntries: number;
  };
}

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
jest.setTimeout(180_000 + 2 * OUTAGE_MS);

const servers = new Servers();
const programs: ChildProcess[] = [];
afterAll(async () => {
  for (const program of programs) program.kill('SIGKILL');
  await servers.end();
});

async function messageOf(
  program: ChildProcess,
  is: (message: Message) => boolean,
): Promise<Message> {
  for (;;) {
    const [message] = (await once(program, 'message')) as [Message];
    if (is(message)) return message;
  }
}

/** Waits until the agent has connected so often, and two batches more are settled. */
async function settles(program: ChildProcess, connections: number): Promise<void> {
  const { stats } = await messageOf(program, (m) => m.stats?.connections === connections);
  const enough = (stats?.settledBatches ?? 0) + 2;
  await messageOf(program, (m) => (m.stats?.settledBatches ?? 0) >= enough);
}

function begin(url: string, ...args: string[]): { program: ChildProcess; lines: string[] } {
  const file = join(import.meta.dirname, 'programs', 'busy-server.mjs');
  const program = fork(file, [url, ...args], { env: cleanEnvironment(), execArgv: [] });
  programs.push(program);
  const lines: string[] = [];
  program.on('message', ({ log }: Message) => log !== undefined && lines.push(log));
  return { program, lines };
}

/** Ends a program; what it saw settled. */
async function stop(program: ChildProcess): Promise<Message> {
  const done = messageOf(program, ({ state }) => state === 'done');
  program.send('stop');
  return done;
}

/** What is stored of a service, by these types. */
async function stored(
  url: string,
  service: string,
  profileTypes: readonly string[],
): Promise<Record<string, string>> {
  const client = connect({ url });
  const found: Record<string, string> = {};
  for (const profileType of profileTypes) {
    const selector = `{service_name="${service}",region="eu"}`;
    const { root, exactness } = await client.tree({ profileType, selector });
    found[profileType] = exactness.exact ? String(root.total) : 'not exact';
  }
  client.close();
  return found;
}

describe('the agent in a busy server', () => {
  test('loses and doubles nothing over a stop, a kill and an outage, and tells what it dropped', async () => {
    let server: ServerProcess = await servers.start('data');
    const listen = ['--listen', `127.0.0.1:${server.port}`];
    const { program, lines } = begin(server.url, SERVICE);
    const small = begin(server.url, SMALL, SMALL_BYTES);
    const both = [program, small.program];
    await Promise.all(both.map((one) => settles(one, 1)));
    expect(await server.stop()).toBe(0);
    server = await servers.start('data', ...listen);
    await Promise.all(both.map((one) => settles(one, 2)));
    await server.stop('SIGKILL');
    await wait(OUTAGE_MS);
    server = await servers.start('data', ...listen);
    await Promise.all(both.map((one) => settles(one, 3)));
    const { isStored, sums = {}, stats } = await stop(program);
    const other = await stop(small.program);

    expect(isStored).toBe(true);
    expect(stats).toMatchObject({ droppedEntries: 0, givenUpEntries: 0, refusedEntries: 0 });
    expect(stats?.connections).toBe(3);
    expect(Object.keys(sums)).toHaveLength(5);
    expect(await stored(server.url, SERVICE, Object.keys(sums))).toEqual(sums);
    const client = connect({ url: server.url });
    const profileType = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds';
    const slow = { profileType, selector: `{service_name="${SERVICE}",endpoint="/slow"}` };
    const { functions } = await client.top(slow);
    expect(functions.map(({ name }) => name)).toContain('computeTax');
    expect(lines.length).toBeGreaterThan(0);
    client.close();

    expect(other.isStored).toBe(true);
    expect(other.stats?.droppedEntries).toBeGreaterThan(0);
    expect(small.lines).toContain('connected again; samples were dropped meanwhile');
    const otherSums = other.sums ?? {};
    expect(await stored(server.url, SMALL, Object.keys(otherSums))).toEqual(otherSums);
    tell(`outage of ${OUTAGE_MS / 1_000} s: ${JSON.stringify(stats)}`);
    tell(`  with ${SMALL_BYTES} bytes of buffer: ${JSON.stringify(other.stats)}`);
  });
});
