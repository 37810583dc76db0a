/** A merge in chunks that is not read to its end ends for the server too, and long before its deadline. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { create, toBinary } from '@bufbuild/protobuf';
import { connect } from '../../src/client/index.ts';
import type { TephraClient } from '../../src/client/client.ts';
import { MergeStreamResponseSchema } from '../../src/gen/tephra/v1/query_pb.ts';
import { NO_NOTES } from '../../src/query/request.ts';
import { startFixture, type Fixture } from '../server/fixture.ts';

const SELECTION = { profileType: 'a:b:c:d:e', selector: '{}', from: 1, to: 2 };
/** Long, so that few chunks fill what the server sends ahead. */
const NAME_LENGTH = 60_000;
const CHUNK = toBinary(
  MergeStreamResponseSchema,
  create(MergeStreamResponseSchema, { names: ['n'.repeat(NAME_LENGTH)], parent: [0], name: [0] }),
);

describe.each(['connect', 'connect-http2', 'grpc'] as const)('over %s', (protocol) => {
  let it: Fixture;
  let client: TephraClient;
  /** Resolves when the server lets go of the tree. */
  let released: Promise<void>;

  beforeEach(async () => {
    it = await startFixture();
    client = connect({ url: it.url, protocol });
    let release = (): void => {};
    released = new Promise((resolve) => (release = resolve));
    it.engine.nodes = () =>
      Promise.resolve({
        nodes: 9,
        notes: NO_NOTES,
        chunks: {
          [Symbol.asyncIterator]: () => ({
            next: () => Promise.resolve({ done: false as const, value: CHUNK }),
            return: () => {
              release();
              return Promise.resolve({ done: true as const, value: undefined });
            },
          }),
        },
      });
  });
  afterEach(async () => {
    client.close();
    await it.server.stop(0);
  });

  test('by leaving the loop', async () => {
    const { chunks } = await client.nodes(SELECTION, { timeoutMs: 0 });
    for await (const { names } of chunks) {
      expect(names.map(({ length }) => length)).toEqual([NAME_LENGTH]);
      break;
    }
    await released;
  });

  test('by closing the client', async () => {
    const { nodeCount } = await client.nodes(SELECTION, { timeoutMs: 0 });
    expect(nodeCount).toBe(9);
    client.close();
    await released;
  });

  test('by the signal of the caller', async () => {
    const controller = new AbortController();
    const { chunks } = await client.nodes(SELECTION, { timeoutMs: 0, signal: controller.signal });
    const read = async (): Promise<void> => {
      for await (const chunk of chunks) {
        expect(chunk.names.map(({ length }) => length)).toEqual([NAME_LENGTH]);
        controller.abort();
      }
    };
    await expect(read()).rejects.toMatchObject({ code: 'canceled' });
    await released;
  });
});
