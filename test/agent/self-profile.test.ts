import { afterAll, describe, expect, jest, test } from '@jest/globals';
import { connect } from '../../src/client/index.ts';
import { Servers } from '../end-to-end/server-process.ts';

jest.setTimeout(90_000);
const servers = new Servers(3);
afterAll(() => servers.end());

describe('a server', () => {
  test('profiles all its threads into itself, unless told not to', async () => {
    const [server, other] = await Promise.all([
      servers.start('on', '--self-profile'),
      servers.start('off'),
    ]);
    const client = connect({ url: server.url });
    const selection = {
      profileType: 'wall:samples:count:wall:nanoseconds',
      selector: '{service_name="tephra"}',
    };
    const readyMs = performance.now();
    const threads = async (): Promise<readonly string[]> => {
      const { names } = await client.labelValues('thread', { selectors: [selection.selector] });
      return names;
    };
    while ((await threads()).length < 4) await new Promise((resolve) => setTimeout(resolve, 200));
    // Five seconds, and what a busy machine needs.
    expect(performance.now() - readyMs).toBeLessThan(15_000);
    expect(await threads()).toEqual(expect.arrayContaining(['main']));
    const memory = { ...selection, profileType: 'memory:inuse_space:bytes:space:bytes' };
    expect((await client.tree(memory)).root.total).toBeGreaterThan(0n);
    const stopMs = performance.now();
    expect(await server.stop()).toBe(0);
    expect(performance.now() - stopMs).toBeLessThan(10_000);
    client.close();
    const quiet = connect({ url: other.url });
    expect((await quiet.stats()).hasProfiles).toBe(false);
    expect(await other.stop()).toBe(0);
    quiet.close();
  });
});
