/**
 * The agent in a busy HTTP server, over a stop, a kill and an outage of Tephra. Everything that it saw
 * settled is stored, to the last nanosecond, and nothing else. The outage lasts 3 s, or
 * TEPHRA_OUTAGE_SECONDS (`npm run prove:agent`).
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
const SELECTOR = `{service_name="${SERVICE}",region="eu"}`;

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
jest.setTimeout(90_000 + OUTAGE_MS);

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

describe('the agent in a busy server', () => {
  test('loses and doubles nothing over a stop, a kill and an outage', async () => {
    let server: ServerProcess = await servers.start('data');
    const listen = ['--listen', `127.0.0.1:${server.port}`];
    const program = fork(
      join(import.meta.dirname, 'programs', 'busy-server.mjs'),
      [server.url, SERVICE],
      { env: cleanEnvironment(), execArgv: [] },
    );
    programs.push(program);
    const lines: string[] = [];
    program.on('message', ({ log }: Message) => log !== undefined && lines.push(log));
    await settles(program, 1);
    expect(await server.stop()).toBe(0);
    server = await servers.start('data', ...listen);
    await settles(program, 2);
    await server.stop('SIGKILL');
    await wait(OUTAGE_MS);
    server = await servers.start('data', ...listen);
    await settles(program, 3);
    const done = messageOf(program, ({ state }) => state === 'done');
    program.send('stop');
    const { isStored, sums = {}, stats } = await done;

    expect(isStored).toBe(true);
    expect(stats?.droppedEntries).toBe(0);
    expect(stats?.connections).toBe(3);
    expect(Object.keys(sums)).toHaveLength(5);
    const client = connect({ url: server.url });
    const found: Record<string, string> = {};
    for (const profileType of Object.keys(sums)) {
      const { root, exactness } = await client.tree({ profileType, selector: SELECTOR });
      expect(exactness.exact).toBe(true);
      found[profileType] = String(root.total);
    }
    expect(found).toEqual(sums);
    const profileType = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds';
    const slow = { profileType, selector: `{service_name="${SERVICE}",endpoint="/slow"}` };
    const { functions } = await client.top(slow);
    expect(functions.map(({ name }) => name)).toContain('computeTax');
    expect(lines.length).toBeGreaterThan(0);
    client.close();
    tell(`agent: ${JSON.stringify(stats)}`);
  });
});
