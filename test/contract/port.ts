import { gzipSync } from 'node:zlib';
import {
  create,
  fromBinary,
  toBinary,
  type DescMethod,
  type DescMethodUnary,
  type Message,
} from '@bufbuild/protobuf';
import { Code, ConnectError, type Transport } from '@connectrpc/connect';
import {
  compressionGzip,
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
  Http2SessionManager,
} from '@connectrpc/connect-node';
import * as grpc from '@grpc/grpc-js';
import { systemClock, systemTimers } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { createMetrics } from '../../src/base/metrics.ts';
import { seededRandom } from '../../src/base/random.ts';
import { startServer, type RunningServer, type ServerOptions } from '../../src/server/server.ts';
import { ProfileSchema } from '../../src/gen/google/v1/profile_pb.ts';
import { createEngine } from '../../src/shards/create-engine.ts';
import type { Engine } from '../../src/shards/engine.ts';
import type { Limits } from '../../src/shards/host-contract.ts';
import { MemoryBlobStore } from '../../src/storage/blob-store/memory.ts';

/** A server over a real engine in memory. */
export interface RealServer {
  readonly engine: Engine;
  readonly server: RunningServer;
  readonly port: number;
  stop(): Promise<void>;
}

/** Starts one; over an engine that is there already if `options` have one. */
export async function startRealServer(
  options: Partial<ServerOptions> = {},
  limits: Partial<Limits> = {},
): Promise<RealServer> {
  const own = async (): Promise<Engine> =>
    createEngine({
      store: new MemoryBlobStore(),
      workers: 0,
      incarnation: 1,
      clock: systemClock,
      timers: systemTimers,
      random: seededRandom(1),
      limits,
    });
  const engine = options.engine ?? (await own());
  const server = await startServer({
    engine,
    listen: { host: '127.0.0.1', port: 0 },
    clock: systemClock,
    timers: systemTimers,
    logger: silentLogger,
    metrics: createMetrics(),
    ...options,
  });
  return {
    engine,
    server,
    port: server.address.port,
    async stop() {
      await server.stop(1_000);
      await engine.stop();
    },
  };
}

/** What came of a call. */
export interface Outcome {
  /** 0 = fine, else the code of gRPC and Connect. */
  readonly code: number;
  readonly message: string;
  /** Answers; one, unless the method streams. */
  readonly replies: readonly Message[];
}

/** One way to call every method. */
export interface Way {
  /** `connect+proto HTTP/1.1 TLS` */
  readonly name: string;
  readonly tls: boolean;
  open(port: number, cert: string): Caller;
}

/** An open way. */
export interface Caller {
  call(method: DescMethod, request: object): Promise<Outcome>;
  close(): void;
}

/** Every way that the port has: protocol x HTTP version x TLS; gzip both ways on all. */
export function allWays(): Way[] {
  const ways: Way[] = [];
  for (const tls of [false, true]) {
    const security = tls ? 'TLS' : 'cleartext';
    for (const httpVersion of ['1.1', '2'] as const) {
      for (const codec of ['proto', 'json'] as const) {
        for (const [protocol, transportOf] of Object.entries({
          connect: createConnectTransport,
          'grpc-web': createGrpcWebTransport,
          grpc: createGrpcTransport,
        })) {
          // The clients speak gRPC over HTTP/2 only.
          if (protocol === 'grpc' && httpVersion === '1.1') continue;
          ways.push({
            name: `${protocol}+${codec} HTTP/${httpVersion} ${security}`,
            tls,
            open: (port, cert) => {
              const baseUrl = `${tls ? 'https' : 'http'}://localhost:${port}`;
              const sessionManager = new Http2SessionManager(baseUrl, {}, tls ? { ca: cert } : {});
              return connectCaller(
                transportOf({
                  baseUrl,
                  httpVersion,
                  ...(httpVersion === '2' ? { sessionManager } : {}),
                  useBinaryFormat: codec === 'proto',
                  nodeOptions: tls ? { ca: cert } : {},
                  sendCompression: compressionGzip,
                  acceptCompression: [compressionGzip],
                  compressMinBytes: 0,
                }),
                () => sessionManager.abort(),
              );
            },
          });
        }
      }
    }
    ways.push({
      name: `grpc-js HTTP/2 ${security}`,
      tls,
      open: (port, cert) => grpcCaller(port, tls ? cert : undefined),
    });
  }
  return ways;
}

function isUnary(method: DescMethod): method is DescMethodUnary {
  return method.methodKind === 'unary';
}

function connectCaller(transport: Transport, close: () => void): Caller {
  return {
    async call(method, request) {
      const replies: Message[] = [];
      try {
        if (isUnary(method)) {
          const { message } = await transport.unary(
            method,
            undefined,
            10_000,
            undefined,
            request as never,
          );
          replies.push(message);
        } else {
          const input = (async function* one() {
            yield request as never;
          })();
          const leave = new AbortController();
          // The library's own deadline keeps its timer, and the process, when a stream is left early.
          const signal = AbortSignal.any([leave.signal, AbortSignal.timeout(10_000)]);
          const stream = await transport.stream(
            method as never,
            signal,
            undefined,
            undefined,
            input,
          );
          for await (const message of stream.message) {
            replies.push(message);
            // A stream may have no end of its own.
            if (method.name === 'Watch') break;
          }
          leave.abort();
        }
        return { code: 0, message: '', replies };
      } catch (thrown) {
        const { code, rawMessage } = ConnectError.from(thrown);
        return { code, message: rawMessage, replies };
      }
    },
    close,
  };
}

function grpcCaller(port: number, cert: string | undefined): Caller {
  const credentials =
    cert === undefined
      ? grpc.credentials.createInsecure()
      : grpc.credentials.createSsl(Buffer.from(cert));
  const client = new grpc.Client(`localhost:${port}`, credentials, {
    'grpc.default_compression_algorithm': 2,
  });
  return {
    call: (method, request) =>
      new Promise((resolve) => {
        const path = `/${method.parent.typeName}/${method.name}`;
        const bytes = toBinary(method.input, create(method.input, request as never));
        const decode = (value: Buffer): Message => fromBinary(method.output, value);
        const options = { deadline: Date.now() + 10_000 };
        const same = (value: Buffer): Buffer => value;
        if (method.methodKind === 'unary') {
          client.makeUnaryRequest(path, same, decode, Buffer.from(bytes), options, (error, value) =>
            resolve({
              code: error?.code ?? 0,
              message: error?.details ?? '',
              replies: value === undefined ? [] : [value],
            }),
          );
          return;
        }
        const replies: Message[] = [];
        const call = client.makeServerStreamRequest(
          path,
          same,
          decode,
          Buffer.from(bytes),
          options,
        );
        const done = (code: number, message: string): void => resolve({ code, message, replies });
        call.on('data', (reply: Message) => {
          replies.push(reply);
          if (method.name !== 'Watch') return;
          done(0, '');
          call.cancel();
        });
        call.on('error', (error: grpc.ServiceError) => done(error.code, error.details));
        call.on('end', () => done(0, ''));
      }),
    close: () => client.close(),
  };
}

/** A CPU profile of now with the values 10 and 20 ms. */
export function cpuProfile(): Uint8Array {
  const strings = ['', 'cpu', 'nanoseconds', 'main', 'work'];
  const profile = create(ProfileSchema, {
    sampleType: [{ type: 1n, unit: 2n }],
    sample: [
      { locationId: [1n], value: [10_000_000n] },
      { locationId: [2n, 1n], value: [20_000_000n] },
    ],
    location: [
      { id: 1n, line: [{ functionId: 1n, line: 3n }] },
      { id: 2n, line: [{ functionId: 2n, line: 4n }] },
    ],
    function: [
      { id: 1n, name: 3n },
      { id: 2n, name: 4n },
    ],
    stringTable: strings,
    timeNanos: BigInt(Date.now()) * 1_000_000n,
    durationNanos: 10_000_000_000n,
    periodType: { type: 1n, unit: 2n },
    period: 10_000_000n,
  });
  return new Uint8Array(gzipSync(toBinary(ProfileSchema, profile)));
}

/** Name of a code, for messages. */
export function codeName(code: number): string {
  return code === 0 ? 'ok' : (Code[code] ?? String(code));
}
