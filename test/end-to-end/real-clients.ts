/** The clients that programs use, each behind one function: a method and a request as JSON in, an outcome out. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import {
  create,
  type DescMessage,
  type DescMethodUnary,
  fromBinary,
  fromJson,
  type JsonValue,
  toBinary,
  toJson,
} from '@bufbuild/protobuf';
import { Code, ConnectError, type Transport } from '@connectrpc/connect';
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
  Http2SessionManager,
} from '@connectrpc/connect-node';
import * as grpc from '@grpc/grpc-js';
import { cleanEnvironment, run } from './server-process.ts';

const PROGRAM = join(import.meta.dirname, 'programs', 'clients');
/** Set by `npm run prove:clients`: clients that take long, too. */
const WITH_ALL = process.env['TEPHRA_ALL_CLIENTS'] === '1';
const CALL_MS = 20_000;
/** Go compiles what the program needs, gRPC too, at its first use. */
const GO_BUILD_MS = 400_000;

/** A method of which request and answer are known. */
export type Method<
  I extends DescMessage = DescMessage,
  O extends DescMessage = DescMessage,
> = DescMethodUnary<I, O>;

/** What came of a call; messages as JSON of protobuf, errors by Connect's names of their codes. */
export interface Outcome {
  readonly code: string;
  readonly message: string;
  readonly answer: JsonValue | undefined;
}

/** One client, open. */
export interface RealClient {
  readonly name: string;
  ask(method: Method, request: JsonValue): Promise<Outcome>;
  close(): void;
}

/** Where a server is, and the file with its certificate if it speaks TLS. */
export interface Place {
  readonly url: string;
  readonly port: number;
  readonly certificate: { readonly file: string; readonly text: string } | undefined;
}

const pathOf = (method: Method): string => `${method.parent.typeName}/${method.name}`;
const codeName = (code: Code): string =>
  (Code[code] ?? String(code)).replaceAll(/(?<!^)[A-Z]/g, '_$&').toLowerCase();

/** The published clients for Node: Connect's in each protocol and version of HTTP, and grpc-js. */
export function nodeClients({ url, port, certificate }: Place): RealClient[] {
  const tls = certificate === undefined ? {} : { ca: certificate.text };
  const clients = (['1.1', '2'] as const).flatMap((httpVersion) =>
    Object.entries({
      connect: createConnectTransport,
      'connect JSON': createConnectTransport,
      'gRPC-Web': createGrpcWebTransport,
      ...(httpVersion === '2' ? { gRPC: createGrpcTransport } : {}),
    }).map(([protocol, transportOf]) => {
      const sessions = new Http2SessionManager(url, {}, tls);
      const transport = transportOf({
        baseUrl: url,
        httpVersion,
        useBinaryFormat: !protocol.endsWith('JSON'),
        nodeOptions: tls,
        ...(httpVersion === '2' ? { sessionManager: sessions } : {}),
      });
      const name = `connect-node ${protocol} HTTP/${httpVersion}`;
      return connectClient(name, transport, () => sessions.abort());
    }),
  );
  return [...clients, grpcJsClient(port, certificate?.text)];
}

function connectClient(name: string, transport: Transport, close: () => void): RealClient {
  return {
    name,
    close,
    async ask(method, request) {
      try {
        const message = fromJson(method.input, request);
        const { message: answer } = await transport.unary(
          method,
          undefined,
          CALL_MS,
          undefined,
          message,
        );
        return { code: 'ok', message: '', answer: toJson(method.output, answer) };
      } catch (thrown) {
        const { code, rawMessage } = ConnectError.from(thrown);
        return { code: codeName(code), message: rawMessage, answer: undefined };
      }
    },
  };
}

function grpcJsClient(port: number, certificate: string | undefined): RealClient {
  const credentials =
    certificate === undefined
      ? grpc.credentials.createInsecure()
      : grpc.credentials.createSsl(Buffer.from(certificate));
  const client = new grpc.Client(`localhost:${port}`, credentials);
  return {
    name: 'grpc-js HTTP/2',
    close: () => client.close(),
    ask: (method, request) =>
      new Promise((resolve) => {
        client.makeUnaryRequest(
          `/${pathOf(method)}`,
          (message: object) =>
            Buffer.from(toBinary(method.input, create(method.input, message as never))),
          (bytes: Buffer) => toJson(method.output, fromBinary(method.output, bytes)),
          fromJson(method.input, request),
          { deadline: Date.now() + CALL_MS },
          (error, answer) =>
            resolve({
              code: error === null ? 'ok' : codeName(error.code as number),
              message: error?.details ?? '',
              answer,
            }),
        );
      }),
  };
}

/** Why curl is not asked, undefined if it is. */
export function noCurl(): string | undefined {
  return spawnSync('curl', ['--version']).status === 0 ? undefined : 'no curl here';
}

/** curl with JSON, by each version of HTTP that it has; unless all are wanted, by one of them. */
export function curlClients({ url, certificate }: Place): RealClient[] {
  const features = spawnSync('curl', ['--version']).stdout.toString();
  const trust = certificate === undefined ? [] : ['--cacert', certificate.file];
  const http2 = certificate === undefined ? '--http2-prior-knowledge' : '--http2';
  const versions = [['HTTP/1.1', '--http1.1'] as const];
  const others = /HTTP2/.test(features) ? [['HTTP/2', http2] as const] : [];
  return [...versions, ...(WITH_ALL ? others : [])].map(([version, flag]) => ({
    name: `curl JSON ${version}`,
    close: () => {},
    async ask(method, request) {
      const { code, out, err } = await run('curl', [
        '--silent',
        '--show-error',
        '--compressed',
        flag,
        ...trust,
        '-Hcontent-type: application/json',
        '-w\n%{http_code}',
        `-d${JSON.stringify(request)}`,
        `${url}/${pathOf(method)}`,
      ]);
      if (code !== 0) throw new Error(`curl ended with ${code}: ${err}`);
      const text = out.toString();
      const end = text.lastIndexOf('\n');
      const answer = JSON.parse(text.slice(0, end)) as JsonValue;
      if (text.slice(end + 1) === '200') return { code: 'ok', message: '', answer };
      const error = answer as { readonly code: string; readonly message: string };
      return { code: error.code, message: error.message, answer: undefined };
    },
  }));
}

/** Names of the clients in `programs/clients`. */
const GO_CLIENTS = [
  'connect HTTP/1.1',
  'connect HTTP/2',
  'connect gzip HTTP/1.1',
  'connect JSON HTTP/2',
  'connect gRPC',
  'connect gRPC-Web',
  'gRPC',
];

/** Why Go's clients are not asked, undefined if they are. Fetches their modules. */
export function noGo(): string | undefined {
  if (!WITH_ALL) return 'npm run prove:clients has them';
  if (spawnSync('go', ['version']).status !== 0) return 'no Go here';
  const options = { cwd: PROGRAM, timeout: 180_000, env: cleanEnvironment() };
  const { status, stderr } = spawnSync('go', ['mod', 'download'], options);
  if (status === 0) return undefined;
  return `Go has no modules here: ${String(stderr).split('\n')[0]}`;
}

/** Builds the program with Go's clients. */
export async function buildGoClients(binary: string): Promise<void> {
  const options = { cwd: PROGRAM, timeoutMs: GO_BUILD_MS };
  const { code, err } = await run('go', ['build', '-o', binary, '.'], options);
  if (code !== 0) throw new Error(`go build ended with ${code}: ${err}`);
}

/** Go's clients, in one process. */
export function goClients(binary: string, { url, certificate }: Place): RealClient[] {
  const program = new LineProgram(
    spawn(binary, [url, ...(certificate === undefined ? [] : [certificate.file])], {
      env: cleanEnvironment(),
      stdio: ['pipe', 'pipe', 'pipe'],
    }),
  );
  return GO_CLIENTS.map((client) => ({
    name: `Go ${client}`,
    close: () => program.end(),
    async ask(method, request) {
      const line = await program.ask(JSON.stringify({ client, method: pathOf(method), request }));
      const { code, message, answer } = JSON.parse(line) as Outcome;
      return { code, message, answer };
    },
  }));
}

/** A program that answers each line with a line, in order. */
class LineProgram {
  readonly #child: ChildProcess;
  readonly #waiting: { resolve: (line: string) => void; reject: (error: Error) => void }[] = [];
  #said = '';

  constructor(child: ChildProcess) {
    this.#child = child;
    if (child.stdout === null) throw new Error('no pipe');
    createInterface({ input: child.stdout }).on('line', (line) => {
      this.#waiting.shift()?.resolve(line);
    });
    child.stderr?.on('data', (chunk: Buffer) => (this.#said += chunk.toString()));
    child.on('close', (code) => {
      for (const { reject } of this.#waiting.splice(0)) {
        reject(new Error(`the program ended with ${code}: ${this.#said}`));
      }
    });
  }

  ask(line: string): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#child.stdin?.write(`${line}\n`);
    });
  }

  end(): void {
    this.#child.stdin?.end();
  }
}
