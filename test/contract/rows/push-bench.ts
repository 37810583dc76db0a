import { create, fromBinary, fromJsonString, toBinary } from '@bufbuild/protobuf';
import { Code } from '@connectrpc/connect';
import { PushRequestSchema } from '../../../src/gen/push/v1/push_pb.ts';
import {
  PushOutcome,
  PushRequestSchema as TephraRequestSchema,
  PushResponseSchema as TephraResponseSchema,
  type PushResult,
} from '../../../src/gen/tephra/v1/ingest_pb.ts';
import { smallPprof } from '../../support/small-pprof.ts';
import { startRealServer, type RealServer } from '../port.ts';
import { HTTP_VERSIONS, RAW_WAYS, RawClient, type RawAnswer, type RawWay } from './raw-ways.ts';

/** What `tephra.v1` and the compatible interface call the same thing. */
export type Service = 'push' | 'tephra';

/**
 * What a bomb may cost on the heap, all ways together, this process's clients too: decoding one takes 350 MB
 * a way, and a busy machine reads bodies in more and smaller pieces.
 */
export const BOMB_HEAP_BYTES = 256 << 20;

/** Names of the methods. */
export const PUSH_METHODS: Readonly<Record<Service, string>> = {
  push: 'push.v1.PusherService/Push',
  tephra: 'tephra.v1.IngestService/Push',
};

/** Type of {@link smallPprof} wherever it comes in. */
export const SMALL_TYPE = 'process_cpu:cpu:nanoseconds::';
/** Its total. */
export const SMALL_TOTAL = 10n;

/** One call that pushes, and what it is to be known by afterwards. */
export interface PushCall {
  /** `tephra connect+json HTTP/2` */
  readonly name: string;
  readonly service: Service;
  readonly way: RawWay;
}

/** Both services by every way. */
export const PUSH_CALLS: readonly PushCall[] = (['push', 'tephra'] as const).flatMap((service) =>
  RAW_WAYS.map((way) => ({ name: `${service} ${way.name}`, service, way })),
);

/** Of what takes the reader long: one way of each protocol and codec. */
export const FEW_CALLS: readonly PushCall[] = PUSH_CALLS.filter(({ name }) =>
  [
    'push connect+json HTTP/1.1',
    'push grpc-web+proto HTTP/2',
    'tephra connect+proto HTTP/1.1',
    'tephra grpc+proto HTTP/2',
  ].includes(name),
);

/** A profile of a request. */
export interface Sent {
  readonly role: 'bad' | 'good';
  readonly payload: Uint8Array;
}

const BY_CONNECT: RawWay = {
  name: 'connect+json HTTP/1.1',
  protocol: 'connect',
  codec: 'json',
  http: '1.1',
};

/** A server, and what rows of bad pushes need to be tried on it. */
export class PushBench {
  readonly server: RealServer;
  readonly client: RawClient;

  private constructor(server: RealServer) {
    this.server = server;
    this.client = new RawClient(server.port);
  }

  static async start(): Promise<PushBench> {
    return new PushBench(await startRealServer({}, { flushLingerMs: 0 }));
  }

  async stop(): Promise<void> {
    this.client.close();
    await this.server.stop();
  }

  /** Sum of what is stored of an entry, in one role. */
  async total(entry: string, role: Sent['role'], type = SMALL_TYPE): Promise<bigint> {
    const { flamegraph } = await this.#ask('SelectMergeStacktraces', {
      profileTypeID: type,
      labelSelector: `{service_name="${entry}",role="${role}"}`,
    });
    return BigInt((flamegraph as { total?: string } | undefined)?.total ?? '0');
  }

  /** Names of functions that are stored of an entry. */
  async names(entry: string, type = SMALL_TYPE): Promise<string[]> {
    const { flamegraph } = await this.#ask('SelectMergeStacktraces', {
      profileTypeID: type,
      labelSelector: `{service_name="${entry}"}`,
    });
    return (flamegraph as { names?: string[] } | undefined)?.names ?? [];
  }

  /** How many series an entry has in a role: a refused push leaves none. */
  async series(entry: string, role: Sent['role']): Promise<number> {
    const { labelsSet = [] } = await this.#ask('Series', {
      matchers: [`{service_name="${entry}",role="${role}"}`],
    });
    return (labelsSet as unknown[]).length;
  }

  /** Whether the record of an answer over all of an entry says that its sum was cut at int64. */
  async isSaturated(entry: string): Promise<boolean> {
    const [startMs, endMs] = this.#range();
    const selector = `{service_name="${entry}"}`;
    const answer = await this.#call('tephra.v1.QueryService/Merge', {
      selection: { profileType: SMALL_TYPE, selector, startMs, endMs },
    });
    return (answer['exactness'] as { saturated?: boolean }).saturated === true;
  }

  #range(): [number, number] {
    const now = Date.now();
    return [now - 3_600_000, now + 600_000];
  }

  #ask(method: string, fields: object): Promise<Record<string, unknown>> {
    const [start, end] = this.#range();
    return this.#call(`querier.v1.QuerierService/${method}`, { start, end, ...fields });
  }

  async #call(name: string, request: object): Promise<Record<string, unknown>> {
    const body = Buffer.from(JSON.stringify(request));
    const answer = await this.client.call(BY_CONNECT, name, body);
    if (answer.code !== 0) throw new Error(`${name}: ${answer.message}`);
    return JSON.parse(answer.body.toString()) as Record<string, unknown>;
  }

  /** Pushes to `/ingest`, as the body or as a form; the answer's status and text. */
  async ingest(
    entry: string,
    { payload, role }: Sent,
    by: { http: '1.1' | '2'; form: boolean },
    headers: Readonly<Record<string, string>> = {},
  ): Promise<{ status: number; text: string }> {
    const name = `${entry}{role=${role},way=ingest-${by.http}-${by.form}}`;
    const path = `/ingest?format=pprof&name=${encodeURIComponent(name)}`;
    const type = { 'content-type': 'multipart/form-data; boundary=x' };
    const body = by.form ? form(payload) : payload;
    const sent = { ...(by.form ? type : {}), ...headers };
    const answer = await this.client.http(by.http, 'POST', path, sent, body);
    return { status: answer.status, text: answer.body.toString() };
  }
}

/** Ways to `/ingest`. */
export const INGEST_WAYS = HTTP_VERSIONS.flatMap((http) =>
  [false, true].map((isForm) => ({ http, form: isForm })),
);

function form(payload: Uint8Array): Buffer {
  const head = '--x\r\nContent-Disposition: form-data; name="profile"; filename="p"\r\n\r\n';
  return Buffer.concat([Buffer.from(head), payload, Buffer.from('\r\n--x--\r\n')]);
}

/** The message of a push, in the codec of its way. */
export function pushMessage(
  entry: string,
  { name, service, way }: PushCall,
  sent: readonly Sent[],
): Uint8Array {
  const labels = ({ role }: Sent): { name: string; value: string }[] =>
    Object.entries({ __name__: 'process_cpu', service_name: entry, role, way: name }).map(
      ([key, value]) => ({ name: key, value }),
    );
  if (way.codec === 'json') {
    const text = (payload: Uint8Array): string => Buffer.from(payload).toString('base64');
    const json =
      service === 'push'
        ? {
            series: sent.map((one) => ({
              labels: labels(one),
              samples: [{ rawProfile: text(one.payload) }],
            })),
          }
        : { profiles: sent.map((one) => ({ labels: labels(one), pprof: text(one.payload) })) };
    return Buffer.from(JSON.stringify(json));
  }
  if (service === 'push') {
    return toBinary(
      PushRequestSchema,
      create(PushRequestSchema, {
        series: sent.map((one) => ({
          labels: labels(one),
          samples: [{ rawProfile: one.payload }],
        })),
      }),
    );
  }
  return toBinary(
    TephraRequestSchema,
    create(TephraRequestSchema, {
      profiles: sent.map((one) => ({
        labels: labels(one),
        payload: { case: 'pprof' as const, value: one.payload },
      })),
    }),
  );
}

/** The results of an answer of `tephra.v1`. */
export function resultsOf({ way }: PushCall, answer: RawAnswer): PushResult[] {
  const { results } =
    way.codec === 'proto'
      ? fromBinary(TephraResponseSchema, answer.body)
      : fromJsonString(TephraResponseSchema, answer.body.toString());
  return results;
}

/** Status of HTTP that goes with a code on Connect; gRPC's is 200 always. */
export function httpOf(way: RawWay, code: number): number {
  if (way.protocol !== 'connect') return 200;
  const statuses: Readonly<Record<number, number>> = {
    0: 200,
    [Code.InvalidArgument]: 400,
    [Code.ResourceExhausted]: 429,
    [Code.Unimplemented]: 501,
  };
  return statuses[code] ?? 500;
}

/** A profile that is fine. */
export const GOOD: Sent = { role: 'good', payload: smallPprof() };

export { PushOutcome };
