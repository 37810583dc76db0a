import { createHash } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import { gunzipSync } from 'node:zlib';
import { create, fromBinary, toBinary, toJsonString, type DescMethod } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { systemClock, systemTimers, type Timers } from '../../../src/base/clock.ts';
import { systemFileSystem, type FileSystem } from '../../../src/base/file-system.ts';
import { LIMITS } from '../../../src/base/limits.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { ProfileSchema } from '../../../src/gen/google/v1/profile_pb.ts';
import {
  QuerierService,
  SelectMergeProfileRequestSchema,
} from '../../../src/gen/querier/v1/querier_pb.ts';
import { QueryService } from '../../../src/gen/tephra/v1/query_pb.ts';
import { ProtoWriter } from '../../../src/query/encode/proto-writer.ts';
import { NO_NOTES } from '../../../src/query/request.ts';
import { createEngine } from '../../../src/shards/create-engine.ts';
import type { Engine } from '../../../src/shards/engine.ts';
import type { Limits } from '../../../src/shards/host-contract.ts';
import { MemoryBlobStore } from '../../../src/storage/blob-store/memory.ts';
import type { Scratch, ScratchOptions } from '../../../src/storage/scratch/scratch.ts';
import {
  allWays,
  startRealServer,
  type Outcome,
  type RealServer,
  type Way,
} from '../../contract/port.ts';
import { makeCertificate } from '../../support/certificate.ts';
import { temporaryScratch } from '../../support/scratch.ts';
import { startFixture } from '../fixture.ts';

const CPU = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds';
const START_MS = Date.now() - 120_000;
const LARGE = '{service_name="large"}';
const SMALL = '{service_name="small"}';
const RANGE = { start: BigInt(START_MS - 60_000), end: BigInt(START_MS + 60_000) };

/** A profile of stacks that differ near their leaf, on three trunks. */
function profile(stacks: number, depth: number): Uint8Array {
  const random = seededRandom(5);
  const trunks = [0, 1, 2].map(() => Array.from({ length: depth }, () => 1 + (random.u32() % 300)));
  const writer = new ProtoWriter();
  const message = (field: number, write: () => void): void => {
    const start = writer.begin(field);
    write();
    writer.end(start);
  };
  const valueType = (): void => {
    writer.field(1, 1);
    writer.field(2, 2);
  };
  message(1, valueType);
  for (let i = 0; i < stacks; i++) {
    message(2, () => {
      message(1, () => {
        writer.uint(1 + (i % 300));
        writer.uint(1 + ((i / 300) | 0));
        for (const id of trunks[i % 3] as number[]) writer.uint(id);
      });
      message(2, () => writer.uint(10_000_000));
    });
  }
  for (let id = 1; id <= 300; id++) {
    message(4, () => {
      writer.field(1, id);
      message(4, () => {
        writer.field(1, id);
        writer.field(2, id);
      });
    });
    message(5, () => {
      writer.field(1, id);
      writer.field(2, id + 2);
    });
  }
  for (const text of ['', 'cpu', 'nanoseconds']) writer.text(6, text);
  for (let id = 1; id <= 300; id++) writer.text(6, `function ${id}`);
  writer.uint(9 * 8);
  writer.wide(Math.floor((START_MS * 1e6) / 2 ** 32), 0);
  writer.field(10, 10_000_000_000);
  message(11, valueType);
  writer.field(12, 10_000_000);
  return writer.finish().bytes;
}

/** Answers that go to disk early, so that they need not be huge. */
const SLICED = { spilledAnswerBytes: 256 * 1_024, answerSliceBytes: 64 * 1_024 };
const large = profile(6_000, 150);
/** Just large enough. */
const fair = profile(1_500, 150);
const small = profile(40, 5);

async function engineOf(
  scratch: Scratch,
  limits: Partial<Limits> = {},
  profiles: Readonly<Record<string, Uint8Array>> = { large, small },
): Promise<Engine> {
  const engine = await createEngine({
    store: new MemoryBlobStore(),
    scratch,
    workers: 0,
    incarnation: 1,
    clock: systemClock,
    timers: systemTimers,
    random: seededRandom(1),
    limits,
  });
  for (const [service, payload] of Object.entries(profiles)) {
    const labels = [
      ['__name__', 'process_cpu'],
      ['service_name', service],
    ] as const;
    const item = { tenant: 'anonymous', labels, profileId: '', format: 'pprof' } as const;
    const [outcome] = await engine.push([
      { ...item, surface: 'push', payload: payload.slice(), arrivalMs: START_MS },
    ]);
    expect(outcome).toMatchObject({ outcome: 'stored' });
  }
  return engine;
}

/** Waits until no answer is on disk. */
async function emptied(scratch: Scratch): Promise<void> {
  for (let tries = 0; scratch.files > 0 && tries < 2_000; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  expect([scratch.files, scratch.bytes]).toEqual([0, 0]);
}

/** Resolves when there is a file. */
async function filled(scratch: Scratch): Promise<void> {
  for (let tries = 0; scratch.files === 0 && tries < 4_000; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

const request = (selector: string): Uint8Array =>
  toBinary(
    SelectMergeProfileRequestSchema,
    create(SelectMergeProfileRequestSchema, {
      profileTypeID: CPU,
      labelSelector: selector,
      ...RANGE,
    }),
  );
const JSON_REQUEST = JSON.stringify({
  profileTypeID: CPU,
  labelSelector: LARGE,
  start: String(RANGE.start),
  end: String(RANGE.end),
});
const PATH = '/querier.v1.QuerierService/SelectMergeProfile';
const headers = (type: string) => ({ ':method': 'POST', ':path': PATH, 'content-type': type });
const framed = (message: Uint8Array): Buffer => {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.byteLength, 1);
  return Buffer.concat([head, message]);
};

/** Reads with a pause now and then. */
async function slowly(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of stream) {
    parts.push(part);
    if (parts.length % 50 === 1) await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return Buffer.concat(parts);
}

function http1(
  { port }: RealServer,
  cert: string | undefined,
  path: string,
  body?: Uint8Array,
  more: http.OutgoingHttpHeaders = {},
): Promise<http.IncomingMessage> {
  return new Promise((resolve, reject) => {
    const { request: ask } = cert === undefined ? http : https;
    const options = {
      host: 'localhost',
      port,
      path,
      method: body === undefined ? 'GET' : 'POST',
      headers: { 'content-type': 'application/proto', ...more },
      agent: false as const,
      ...(cert === undefined ? {} : { ca: cert }),
    };
    ask(options, resolve).on('error', reject).end(body);
  });
}

const identity = makeCertificate();
let whole: Engine;
let wholeHash = '';
let wholeJsonHash = '';
let wholeBytes = 0;
/** Bytes of the answer of {@link fair}. */
let fairBytes = 0;
let wholeSmall: RealServer;
const scratch = temporaryScratch();
let engine: Engine;
/** By whether it speaks TLS. */
const servers = new Map<boolean, RealServer>();

beforeAll(async () => {
  whole = await engineOf(temporaryScratch(), { spilledAnswerBytes: 2 ** 30 });
  const asked = { tenant: 'anonymous', profileType: CPU, selector: LARGE };
  const range = { startMs: Number(RANGE.start), endMs: Number(RANGE.end) };
  const { bytes, front } = await whole.pprof({ ...asked, ...range });
  wholeHash = hashOf(bytes);
  wholeJsonHash = hashOf(
    Buffer.from(toJsonString(ProfileSchema, fromBinary(ProfileSchema, bytes))),
  );
  wholeBytes = front === undefined ? bytes.byteLength : 0;
  const fairly = await engineOf(temporaryScratch(), {}, { large: fair });
  fairBytes = (await fairly.pprof({ ...asked, ...range })).bytes.byteLength;
  wholeSmall = await startRealServer({ engine: whole });
  engine = await engineOf(scratch, SLICED);
  servers.set(false, await startRealServer({ engine }));
  servers.set(true, await startRealServer({ engine, tls: identity }));
}, 60_000);
afterAll(async () => {
  await wholeSmall.stop();
  for (const server of servers.values()) await server.stop();
});

describe.each([false, true])('an answer from disk arrives whole (TLS: %s)', (tls) => {
  const cert = tls ? identity.cert : undefined;
  const server = (): RealServer => servers.get(tls) as RealServer;
  const session = (): http2.ClientHttp2Session =>
    http2.connect(`${tls ? 'https' : 'http'}://localhost:${server().port}`, { ca: cert ?? '' });

  test('by Connect over HTTP/1.1', async () => {
    // More slices than there are buffers.
    expect(wholeBytes).toBeGreaterThan(4 * 256 * 1_024);
    const response = await http1(server(), cert, PATH, request(LARGE));
    const body = await slowly(response);
    expect(response.headers['content-length']).toBe(String(body.byteLength));
    expect(hashOf(body)).toBe(wholeHash);
    await emptied(scratch);
  });

  test('by Connect over HTTP/1.1, compressed', async () => {
    const gzip = { 'accept-encoding': 'gzip' };
    const response = await http1(server(), cert, PATH, request(LARGE), gzip);
    expect(response.headers['content-encoding']).toBe('gzip');
    expect(hashOf(gunzipSync(await slowly(response)))).toBe(wholeHash);
    await emptied(scratch);
  });

  test.each([{}, { 'accept-encoding': 'gzip' }])('by Connect as JSON (%j)', async (more) => {
    const json = { 'content-type': 'application/json', ...more };
    const response = await http1(server(), cert, PATH, Buffer.from(JSON_REQUEST), json);
    expect(response.statusCode).toBe(200);
    const body = await slowly(response);
    const isPacked = response.headers['content-encoding'] === 'gzip';
    expect(isPacked).toBe('accept-encoding' in more);
    expect(hashOf(isPacked ? gunzipSync(body) : body)).toBe(wholeJsonHash);
    await emptied(scratch);
  });

  test('by gRPC-Web as JSON, its length in front', async () => {
    const json = { 'content-type': 'application/grpc-web+json' };
    const response = await http1(server(), cert, PATH, framed(Buffer.from(JSON_REQUEST)), json);
    const body = await slowly(response);
    expect(hashOf(body.subarray(5, 5 + body.readUInt32BE(1)))).toBe(wholeJsonHash);
    expect(body.subarray(5 + body.readUInt32BE(1)).toString()).toContain('grpc-status: 0');
    await emptied(scratch);
  });

  test.each(['application/proto', 'application/grpc', 'application/grpc-web'])(
    'by %s over HTTP/2',
    async (type) => {
      const client = session();
      const stream = client.request(headers(type));
      const isGrpc = type !== 'application/proto';
      stream.end(isGrpc ? framed(request(LARGE)) : request(LARGE));
      const body = await slowly(stream);
      client.close();
      const size = isGrpc ? body.readUInt32BE(1) : body.byteLength;
      const message = isGrpc ? body.subarray(5, 5 + size) : body;
      expect(message.byteLength).toBe(size);
      expect(hashOf(message)).toBe(wholeHash);
      await emptied(scratch);
    },
  );

  test('by GET /pprof, compressed while it is read', async () => {
    const query = encodeURIComponent(CPU + LARGE);
    const path = `/pprof?query=${query}&from=${RANGE.start}&until=${RANGE.end}`;
    const response = await http1(server(), cert, path);
    expect(hashOf(gunzipSync(await slowly(response)))).toBe(wholeHash);
    await emptied(scratch);
  });
});

test('a HEAD of /pprof leaves no answer on disk', async () => {
  const { port } = servers.get(false) as RealServer;
  const query = encodeURIComponent(CPU + LARGE);
  const path = `/pprof?query=${query}&from=${RANGE.start}&until=${RANGE.end}`;
  const response = await new Promise<http.IncomingMessage>((resolve) => {
    http.request({ port, path, method: 'HEAD', agent: false }, resolve).end();
  });
  expect(response.statusCode).toBe(200);
  response.resume();
  await emptied(scratch);
});

describe('answers that all go to disk are those of memory', () => {
  const data = { profileTypeID: CPU, labelSelector: SMALL, ...RANGE };
  const selection = {
    profileType: CPU,
    selector: SMALL,
    startMs: RANGE.start,
    endMs: RANGE.end,
  };
  const { method } = QuerierService;
  const calls: [name: string, desc: DescMethod, request: object][] = [
    ['profile', method.selectMergeProfile, data],
    ...[1, 2, 3, 4].map((format): [string, DescMethod, object] => [
      `format ${format}`,
      method.selectMergeStacktraces,
      { ...data, format },
    ]),
    ['diff', method.diff, { left: data, right: data }],
    ['merge', QueryService.method.merge, { selection }],
    ['top functions', QueryService.method.topFunctions, { selection }],
  ];
  const tiny = temporaryScratch();
  const over = new Map<boolean, RealServer>();
  /** What memory answers, in the order of the calls. */
  const ofMemory: Outcome[] = [];

  beforeAll(async () => {
    const plain = allWays().find(({ name }) => name === 'grpc-js HTTP/2 cleartext') as Way;
    const caller = plain.open(wholeSmall.port, '');
    for (const [, desc, asked] of calls) ofMemory.push(await caller.call(desc, asked));
    caller.close();
    const all = await engineOf(tiny, { spilledAnswerBytes: 64, answerSliceBytes: 64 });
    over.set(false, await startRealServer({ engine: all }));
    over.set(true, await startRealServer({ engine: all, tls: identity }));
  });
  afterAll(async () => {
    for (const server of over.values()) await server.stop();
  });

  test.each(allWays().map((way) => [way.name, way] as const))('%s', async (_, way) => {
    const caller = way.open((over.get(way.tls) as RealServer).port, identity.cert);
    try {
      for (const [i, [name, desc, asked]] of calls.entries()) {
        const outcome = await caller.call(desc, asked);
        expect({ name, ...outcome }).toEqual({ name, ...ofMemory[i] });
        expect(outcome.replies.length).toBe(1);
      }
    } finally {
      caller.close();
    }
    await emptied(tiny);
  });

  test.each([false, true])('the legacy queries (TLS: %s)', async (tls) => {
    const query = encodeURIComponent(CPU + SMALL);
    const side = (name: string): string =>
      `${name}Query=${query}&${name}From=${RANGE.start}&${name}Until=${RANGE.end}`;
    const range = `query=${query}&from=${RANGE.start}&until=${RANGE.end}`;
    const server = over.get(tls) as RealServer;
    const cert = tls ? identity.cert : undefined;
    const gzip = { 'accept-encoding': 'gzip' };
    for (const path of [
      `/pyroscope/render?${range}`,
      `/pyroscope/render?${range}&format=dot`,
      `/pyroscope/render-diff?${side('left')}&${side('right')}`,
    ]) {
      const expected = await slowly(await http1(wholeSmall, undefined, path));
      expect(expected.byteLength).toBeGreaterThan(1_024);
      const plain = await slowly(await http1(server, cert, path));
      expect(plain.equals(expected)).toBe(true);
      const packed = await slowly(await http1(server, cert, path, undefined, gzip));
      expect(gunzipSync(packed).equals(expected)).toBe(true);
      await emptied(tiny);
    }
  });
});

describe('nothing stays on disk of an answer', () => {
  /** A server whose clients may not stall for long, with a share of answers. */
  async function started(
    options: { stallMs?: number; answerBytesMax?: number; scratch?: Partial<ScratchOptions> } = {},
    limits: Partial<Limits> = {},
  ): Promise<{ files: Scratch; server: RealServer; engine: Engine }> {
    const files = temporaryScratch(options.scratch);
    const timers: Timers = {
      ...systemTimers,
      after: (delayMs, callback) =>
        systemTimers.after(
          delayMs === LIMITS.answerStallMs ? (options.stallMs ?? delayMs) : delayMs,
          callback,
        ),
    };
    const own = await engineOf(files, { ...SLICED, ...limits }, { large: fair, small });
    const { answerBytesMax } = options;
    const given = answerBytesMax === undefined ? {} : { answerBytesMax };
    return { files, engine: own, server: await startRealServer({ engine: own, timers, ...given }) };
  }

  /** A client whose window is closed, once it has its headers. */
  async function unread(
    server: RealServer,
    files: Scratch,
    type: string,
  ): Promise<http2.ClientHttp2Session> {
    const client = http2.connect(`http://localhost:${server.port}`, {
      settings: { initialWindowSize: 0 },
    });
    client.on('error', () => {});
    const stream = client.request(headers(type));
    stream.on('error', () => {});
    stream.end(type === 'application/proto' ? request(LARGE) : framed(request(LARGE)));
    await once(stream, 'response');
    // The headers of gRPC may come before there is an answer.
    if (type === 'application/grpc') await filled(files);
    return client;
  }

  test.each(['application/proto', 'application/grpc'])(
    'whose client leaves in the middle (%s)',
    async (type) => {
      const { files, server } = await started();
      const client = await unread(server, files, type);
      expect(files.files).toBe(1);
      client.destroy();
      await emptied(files);
      await server.stop();
    },
  );

  test('whose client leaves in the middle (HTTP/1.1)', async () => {
    const { files, server } = await started();
    const response = await http1(server, undefined, PATH, request(LARGE));
    response.on('error', () => {});
    response.destroy();
    await emptied(files);
    await server.stop();
  });

  test('whose client does not read', async () => {
    const { files, server } = await started({ stallMs: 50 });
    const client = await unread(server, files, 'application/proto');
    await emptied(files);
    client.destroy();
    await server.stop();
  });

  test.each(['application/proto', 'application/grpc'])(
    'that is refused for those that wait to be read (%s)',
    async (type) => {
      const { files, server } = await started({ answerBytesMax: 1.85 * fairBytes });
      const client = await unread(server, files, 'application/proto');
      const second = http2.connect(`http://localhost:${server.port}`);
      const stream = second.request(headers(type));
      stream.end(type === 'application/proto' ? request(LARGE) : framed(request(LARGE)));
      const isGrpc = type === 'application/grpc';
      const told = once(stream, isGrpc ? 'trailers' : 'response');
      stream.resume();
      const [fields] = (await told) as [http2.IncomingHttpHeaders];
      expect(isGrpc ? fields['grpc-status'] : fields[':status']).toBe(isGrpc ? '14' : 503);
      expect(files.files).toBe(1);
      client.destroy();
      second.destroy();
      await emptied(files);
      await server.stop();
    },
  );

  test('that takes too long', async () => {
    let go = (): void => {};
    const gate = new Promise<void>((resolve) => (go = resolve));
    const fs: FileSystem = {
      ...systemFileSystem,
      async freeBytes(path) {
        await gate;
        return systemFileSystem.freeBytes(path);
      },
    };
    const { files, server } = await started({ scratch: { fs } }, { queryTimeoutMs: 2_000 });
    const response = await http1(server, undefined, PATH, request(LARGE));
    expect(response.statusCode).toBe(504);
    expect(files.files).toBe(1);
    go();
    await emptied(files);
    await server.stop();
  }, 30_000);

  test('that finds the disk full: it alone fails', async () => {
    const fs: FileSystem = { ...systemFileSystem, freeBytes: () => Promise.resolve(1_000_000) };
    const { files, server, engine: own } = await started({ scratch: { fs } });
    const response = await http1(server, undefined, PATH, request(LARGE));
    expect(response.statusCode).toBe(503);
    expect((await slowly(response)).toString()).toContain('storage_full');
    expect(files.files).toBe(0);
    expect((await http1(server, undefined, PATH, request(SMALL))).statusCode).toBe(200);
    const labels = [
      ['__name__', 'process_cpu'],
      ['service_name', 'other'],
    ] as const;
    const item = { tenant: 'anonymous', labels, profileId: '', format: 'pprof' } as const;
    const [outcome] = await own.push([
      { ...item, surface: 'push', payload: small.slice(), arrivalMs: START_MS },
    ]);
    expect(outcome).toMatchObject({ outcome: 'stored' });
    await server.stop();
  });

  test('that comes when its client has left', async () => {
    const closed: number[] = [];
    let go = (): void => {};
    const gate = new Promise<void>((resolve) => (go = resolve));
    const it = await startFixture();
    const front = {
      byteLength: 1,
      read: () => Promise.resolve(0),
      close: () => void closed.push(1),
    };
    it.engine.pprof = async () => {
      await gate;
      return { bytes: new Uint8Array(0), front, notes: NO_NOTES };
    };
    const { port } = it.server.address;
    const query = `/pprof?query=${encodeURIComponent(`${CPU}{}`)}`;
    for (const [method, path] of [
      ['POST', PATH],
      ['GET', query],
    ] as const) {
      const type = { 'content-type': 'application/proto' };
      const ask = http.request({ port, path, method, headers: type, agent: false });
      ask.on('error', () => {});
      ask.end(method === 'POST' ? request(SMALL) : undefined);
      await once(ask, 'socket');
      await new Promise((resolve) => setTimeout(resolve, 100));
      ask.destroy();
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
    go();
    while (closed.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    await it.server.stop(0);
  });
});
