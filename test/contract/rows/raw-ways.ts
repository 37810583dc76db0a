/**
 * The ways on which bytes reach a method, written by hand: what no client library sends has to be sent
 * too. Protocol x codec x HTTP version; TLS changes nothing here and is in port.test.ts.
 */
import { Agent, request as httpRequest } from 'node:http';
import { connect as connectHttp2, type ClientHttp2Session } from 'node:http2';
import { Code } from '@connectrpc/connect';

/** One way. */
export interface RawWay {
  /** `connect+proto HTTP/1.1` */
  readonly name: string;
  readonly protocol: 'connect' | 'grpc-web' | 'grpc';
  readonly codec: 'proto' | 'json';
  readonly http: '1.1' | '2';
}

const way = (
  protocol: RawWay['protocol'],
  codec: RawWay['codec'],
  http: RawWay['http'],
): RawWay => ({
  name: `${protocol}+${codec} HTTP/${http}`,
  protocol,
  codec,
  http,
});

/** All of them. */
export const RAW_WAYS: readonly RawWay[] = [
  way('connect', 'proto', '1.1'),
  way('connect', 'proto', '2'),
  way('connect', 'json', '1.1'),
  way('connect', 'json', '2'),
  way('grpc-web', 'proto', '1.1'),
  way('grpc-web', 'proto', '2'),
  way('grpc-web', 'json', '1.1'),
  way('grpc-web', 'json', '2'),
  way('grpc', 'json', '1.1'),
  way('grpc', 'json', '2'),
  way('grpc', 'proto', '1.1'),
  way('grpc', 'proto', '2'),
];

/** The way that carries no RPC. */
export const HTTP_VERSIONS = ['1.1', '2'] as const;

/** What is sent beside the message. */
export interface Extra {
  /** Name of the compression; the bytes are compressed already. */
  readonly encoding?: string;
  /** Flags of the frame, where there is one; 1 with an encoding. */
  readonly flags?: number;
  /** Bytes behind the frame, or behind the body. */
  readonly trailing?: Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What came back. */
export interface RawAnswer {
  /** Code of gRPC and Connect, 0 = fine. */
  readonly code: number;
  readonly message: string;
  /** Status of HTTP. */
  readonly http: number;
  readonly headers: Readonly<Record<string, unknown>>;
  /** The answer's message, in the codec of the way. */
  readonly body: Buffer;
}

interface HttpAnswer {
  readonly status: number;
  /** With the trailers. */
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: Buffer;
}

/** Connections to one port: one of HTTP/2, some of HTTP/1.1. */
export class RawClient {
  readonly #port: number;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 4 });
  #session: ClientHttp2Session | undefined;

  constructor(port: number) {
    this.#port = port;
  }

  close(): void {
    this.#agent.destroy();
    this.#session?.destroy();
  }

  /** Calls a method, `push.v1.PusherService/Push`, with exactly these bytes as the message. */
  async call(by: RawWay, name: string, message: Uint8Array, extra: Extra = {}): Promise<RawAnswer> {
    const { encoding, trailing } = extra;
    const isConnect = by.protocol === 'connect';
    const headers: Record<string, string> = {
      'content-type': `application/${isConnect ? '' : `${by.protocol}+`}${by.codec}`,
      ...(by.protocol === 'grpc' ? { te: 'trailers' } : {}),
      ...extra.headers,
    };
    if (encoding !== undefined) {
      headers[isConnect ? 'content-encoding' : 'grpc-encoding'] = encoding;
    }
    const framed = isConnect
      ? message
      : frame(message, extra.flags ?? (encoding === undefined ? 0 : 1));
    const body = trailing === undefined ? framed : Buffer.concat([framed, trailing]);
    return rpcAnswer(by, await this.http(by.http, 'POST', `/${name}`, headers, body));
  }

  /** A plain request. */
  http(
    version: '1.1' | '2',
    method: string,
    path: string,
    headers: Readonly<Record<string, string>>,
    body: Uint8Array | undefined,
  ): Promise<HttpAnswer> {
    return version === '1.1'
      ? this.#http1(method, path, headers, body)
      : this.#http2(method, path, headers, body);
  }

  #http1(
    method: string,
    path: string,
    headers: Readonly<Record<string, string>>,
    body: Uint8Array | undefined,
  ): Promise<HttpAnswer> {
    return new Promise((resolve, reject) => {
      const options = { host: '127.0.0.1', port: this.#port, path, method, headers };
      const request = httpRequest({ ...options, agent: this.#agent }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: { ...response.headers, ...response.trailers },
            body: Buffer.concat(chunks),
          }),
        );
      });
      request.on('error', reject);
      request.end(body);
    });
  }

  #http2(
    method: string,
    path: string,
    headers: Readonly<Record<string, string>>,
    body: Uint8Array | undefined,
  ): Promise<HttpAnswer> {
    if (this.#session === undefined || this.#session.destroyed || this.#session.closed) {
      this.#session = connectHttp2(`http://127.0.0.1:${this.#port}`);
      this.#session.on('error', () => {});
    }
    const stream = this.#session.request({ ':method': method, ':path': path, ...headers });
    return new Promise((resolve, reject) => {
      let found: Record<string, unknown> = {};
      const chunks: Buffer[] = [];
      stream.on('response', (got) => (found = { ...found, ...got }));
      stream.on('trailers', (got) => (found = { ...found, ...got }));
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('error', reject);
      stream.on('close', () =>
        resolve({
          status: Number(found[':status'] ?? 0),
          headers: found,
          body: Buffer.concat(chunks),
        }),
      );
      stream.end(body);
    });
  }
}

/** A message with its five bytes in front. */
export function frame(message: Uint8Array, flags = 0): Buffer {
  const head = Buffer.alloc(5);
  head[0] = flags;
  head.writeUInt32BE(message.byteLength, 1);
  return Buffer.concat([head, message]);
}

function rpcAnswer(by: RawWay, { status, headers, body }: HttpAnswer): RawAnswer {
  if (by.protocol === 'connect') {
    if (status === 200) return { code: 0, message: '', http: status, headers, body };
    const { code, message } = JSON.parse(body.toString()) as { code: string; message: string };
    return { code: codeNumber(code), message, http: status, headers, body };
  }
  const { message, trailers } = framesOf(body);
  const told = { ...headers, ...trailers } as Record<string, string | undefined>;
  return {
    code: Number(told['grpc-status'] ?? Number.NaN),
    message: decodeURIComponent(told['grpc-message'] ?? ''),
    http: status,
    headers: told,
    body: message,
  };
}

function codeNumber(name: string): number {
  const pascal = name.replace(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase());
  return Code[pascal as keyof typeof Code];
}

/** The first message, and the trailers that gRPC-Web puts into the body. */
function framesOf(body: Buffer): { message: Buffer; trailers: Record<string, string> } {
  let message: Buffer = Buffer.alloc(0);
  const trailers: Record<string, string> = {};
  for (let at = 0; at + 5 <= body.length;) {
    const end = at + 5 + body.readUInt32BE(at + 1);
    const content = body.subarray(at + 5, end);
    if (((body[at] ?? 0) & 0x80) === 0) message = content;
    else {
      for (const line of content.toString().split('\r\n')) {
        const colon = line.indexOf(':');
        if (colon > 0) trailers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
      }
    }
    at = end;
  }
  return { message, trailers };
}
