import {
  Server,
  type handleServerStreamingCall,
  type handleUnaryCall,
  type MethodDefinition,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import type { DescMessage, Message } from '@bufbuild/protobuf';
import type { Timers } from '../../base/clock.ts';
import { LIMITS } from '../../base/limits.ts';
import type { AddressCredits } from '../body/address-credits.ts';
import type { AnswerBudget } from '../answer/budget.ts';
import { answerBytes, answerSlices, wholeAnswer } from '../answer/answer.ts';
import { tooLarge } from '../body/body.ts';
import { boundCalls } from './bounds.ts';
import { patchGrpc } from './patch.ts';
import { LargeMessage } from '../answer/large-message.ts';
import type { RequestBounds } from '../port/request-bounds.ts';
import { addReflection } from './reflection.ts';
import { replyBytes, replyNotes } from '../rpc/encoded.ts';
import {
  isStream,
  requestOf,
  type AnyRpc,
  type Reply,
  type RpcMethod,
  type RpcStream,
} from '../rpc/method.ts';
import { callContext, runMethod, runStream, type RunDeps } from '../rpc/run.ts';
import { decodeMessage } from '../body/rpc-body.ts';
import type { StreamBounds } from '../stream/bounds.ts';
import type { HeldMessage, StreamCall } from '../stream/session.ts';
import { grpcMetadata, grpcStatus } from './status.ts';
import { edgeRefusal } from '../answer/status.ts';
import { TephraError } from '../../base/errors.ts';

/** What gRPC needs to serve. */
export interface GrpcDeps extends RunDeps {
  readonly methods: readonly AnyRpc[];
  readonly credits: AddressCredits;
  readonly answers: AnswerBudget;
  readonly timers: Timers;
  readonly bodyBytesMax: number;
  readonly requestTimeoutMs: number;
  readonly bounds: RequestBounds;
  /** What serves calls with streams in both directions, by name. */
  readonly duplex: Readonly<Record<string, (call: StreamCall) => void>>;
  readonly streams: StreamBounds;
}

/**
 * gRPC by grpc-js. The library hands bytes through; they are inflated and decoded by us, so that
 * bytes that are no message are `invalid_argument` and not the library's `internal`. Not
 * listening: sockets come by its connection injector.
 */
export function createGrpcServer(deps: GrpcDeps): Server {
  const server = new Server({
    'grpc.max_concurrent_streams': deps.bounds.streamsPerConnectionMax,
    // Twice ours: the library would answer RESOURCE_EXHAUSTED where clients expect our codes.
    'grpc.max_receive_message_length': 2 * deps.bodyBytesMax,
    'grpc.max_send_message_length': -1,
    'grpc.max_metadata_size': deps.bounds.headerBytesMax,
    'grpc.keepalive_time_ms': LIMITS.pingIntervalMs,
    'grpc.keepalive_timeout_ms': LIMITS.pingTimeoutMs,
    'grpc.max_connection_idle_ms': LIMITS.connectionIdleMs,
    'grpc.max_connection_age_ms': LIMITS.connectionAgeMs,
    'grpc.max_connection_age_grace_ms': LIMITS.connectionAgeGraceMs,
    interceptors: [boundCalls(deps)],
  });
  const services = new Map<string, AnyRpc[]>();
  for (const method of deps.methods) {
    const name = method.desc.parent.typeName;
    services.set(name, [...(services.get(name) ?? []), method]);
  }
  for (const methods of services.values()) {
    const definition: Record<string, MethodDefinition<Buffer, Buffer>> = {};
    const implementation: UntypedServiceImplementation = {};
    for (const method of methods) {
      const streams = isStream(method);
      definition[method.desc.name] = bytesMethod(`/${method.name}`, streams);
      implementation[method.desc.name] = streams
        ? streamHandler(method, deps)
        : unaryHandler(method, deps);
    }
    for (const [name, serve] of Object.entries(deps.duplex)) {
      const [service = '', method = ''] = name.split('/');
      if (methods[0]?.desc.parent.typeName !== service) continue;
      definition[method] = { ...bytesMethod(`/${name}`, true), requestStream: true };
      // The bounds hand messages on together with their credits.
      implementation[method] = (call: ServerDuplexStream<HeldMessage, Buffer>) => serve(call);
    }
    server.addService(definition, implementation);
  }
  addReflection(server, [...services.values()].flat());
  return server;
}

function unaryHandler(method: RpcMethod, deps: GrpcDeps): handleUnaryCall<Buffer, Buffer> {
  return (call, done) => {
    runMethod(method, decoderOf(method, call.request, deps), contextOf(call, deps), deps)
      .then((reply) => {
        const { front } = 'encoded' in reply ? reply.encoded : {};
        if (front !== undefined) call.once('cancelled', () => front.close());
        return answerOf(method, reply).then((message) => {
          // The library hands the answer through as it is, to the repaired `sendMessage`.
          done(null, message as Buffer, grpcMetadata(replyNotes(reply)));
        });
      })
      .catch((thrown: unknown) => done(grpcStatus(TephraError.from(thrown), method.takesBytes)));
  };
}

function streamHandler(
  method: RpcStream,
  deps: GrpcDeps,
): handleServerStreamingCall<Buffer, Buffer> {
  return (call) => {
    const serve = async (): Promise<void> => {
      const decode = decoderOf(method, call.request, deps);
      for await (const reply of runStream(method, decode, contextOf(call, deps), deps)) {
        const flushed = call.write(asBuffer(replyBytes(method.desc.output, reply)));
        if (!flushed) await drained(call);
      }
      call.end();
    };
    serve().catch((thrown: unknown) => call.emit('error', grpcStatus(TephraError.from(thrown))));
  };
}

/** Resolves when the client has taken what was written, or has left. */
function drained(call: ServerWritableStream<Buffer, Buffer>): Promise<void> {
  return new Promise((resolve) => {
    call.once('drain', resolve);
    call.once('cancelled', resolve);
    call.once('close', resolve);
  });
}

function decoderOf(method: AnyRpc, bytes: Buffer, deps: GrpcDeps): () => Message {
  const limit = deps.bodyBytesMax;
  return () => {
    if (bytes.byteLength > limit) {
      throw edgeRefusal(tooLarge(`${bytes.byteLength} bytes`, limit), method.name);
    }
    return requestOf(method, bytes, false, decodeMessage);
  };
}

function contextOf(
  call: ServerUnaryCall<Buffer, Buffer> | ServerWritableStream<Buffer, Buffer>,
  deps: GrpcDeps,
): ReturnType<typeof callContext> {
  const controller = new AbortController();
  const abort = (): void => {
    const deadline = call.getDeadline();
    const late = Number(deadline) <= deps.clock.nowMs();
    controller.abort(
      late
        ? new TephraError('deadline', 'the deadline passed before the answer was ready')
        : new TephraError('canceled', 'the client left'),
    );
  };
  call.once('cancelled', abort);
  if (call.cancelled) abort();
  const accept = call.metadata.get('accept').map(String).join(',');
  return callContext(deps.clock, accept, controller.signal);
}

function bytesMethod(path: string, responseStream: boolean): MethodDefinition<Buffer, Buffer> {
  return {
    path,
    requestStream: false,
    responseStream,
    requestDeserialize: (bytes) => bytes,
    requestSerialize: asBuffer,
    responseDeserialize: (bytes) => bytes,
    responseSerialize: asBuffer,
  };
}

async function answerOf(
  method: RpcMethod,
  reply: Reply<DescMessage>,
): Promise<Buffer | LargeMessage> {
  if ('encoded' in reply && patchGrpc()) {
    const { encoded } = reply;
    const size = answerBytes(encoded);
    if (encoded.front !== undefined || size >= LIMITS.slicedAnswerBytes) {
      return new LargeMessage(size, answerSlices(encoded), () => encoded.front?.close());
    }
  }
  const whole = 'encoded' in reply ? { encoded: await wholeAnswer(reply.encoded) } : reply;
  return asBuffer(replyBytes(method.desc.output, whole));
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
