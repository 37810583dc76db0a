import { fromBinary, type Message } from '@bufbuild/protobuf';
import {
  Metadata,
  Server,
  ServerInterceptingCall,
  ServerListenerBuilder,
  ResponderBuilder,
  type handleUnaryCall,
  type MethodDefinition,
  type ServerInterceptor,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { isErrorLike, TephraError } from '../base/errors.ts';
import { LIMITS } from '../base/limits.ts';
import type { Credits, Hold } from './credits.ts';
import { replyBytes, replyNotes } from './rpc/encoded.ts';
import type { RpcMethod } from './rpc/method.ts';
import { callContext, runMethod, type RunDeps } from './rpc/run.ts';
import { errorHeaders, publicMessage, statusNumber } from './status.ts';

/** What gRPC needs to serve. */
export interface GrpcDeps extends RunDeps {
  readonly methods: readonly RpcMethod[];
  readonly credits: Credits;
  readonly bodyBytesMax: number;
}

/**
 * gRPC by grpc-js. The library hands bytes through; they are decoded in the handler, so that bytes
 * that are no message are `invalid_argument` and not the library's `internal`. Not listening: sockets
 * come by its connection injector.
 */
export function createGrpcServer(deps: GrpcDeps): Server {
  const server = new Server({
    'grpc.max_concurrent_streams': LIMITS.streamsPerConnectionMax,
    // Twice ours: the library would answer RESOURCE_EXHAUSTED where clients expect our codes.
    'grpc.max_receive_message_length': 2 * deps.bodyBytesMax,
    'grpc.max_send_message_length': -1,
    'grpc.max_metadata_size': LIMITS.headerBytesMax,
    'grpc.keepalive_time_ms': 60_000,
    'grpc.keepalive_timeout_ms': 20_000,
    interceptors: [holdCredits(deps.credits)],
  });
  const services = new Map<string, RpcMethod[]>();
  for (const method of deps.methods) {
    const name = method.desc.parent.typeName;
    services.set(name, [...(services.get(name) ?? []), method]);
  }
  for (const methods of services.values()) {
    const definition: Record<string, MethodDefinition<Buffer, Buffer>> = {};
    const implementation: UntypedServiceImplementation = {};
    for (const method of methods) {
      definition[method.desc.name] = bytesMethod(`/${method.name}`);
      implementation[method.desc.name] = unaryHandler(method, deps);
    }
    server.addService(definition, implementation);
  }
  return server;
}

function unaryHandler(method: RpcMethod, deps: GrpcDeps): handleUnaryCall<Buffer, Buffer> {
  return (call, done) => {
    const accept = call.metadata.get('accept').map(String).join(',');
    const decode = (): Message => decodeMessage(method, call.request, deps.bodyBytesMax);
    runMethod(method, decode, callContext(deps.clock, accept), deps)
      .then((reply) => {
        const bytes = replyBytes(method.desc.output, reply);
        done(null, asBuffer(bytes), metadataOf(replyNotes(reply)));
      })
      .catch((thrown: unknown) => {
        const error = TephraError.from(thrown);
        done({
          code: statusNumber(error),
          details: publicMessage(error),
          metadata: metadataOf(errorHeaders(error)),
        });
      });
  };
}

function decodeMessage(method: RpcMethod, bytes: Buffer, bodyBytesMax: number): Message {
  if (bytes.byteLength > bodyBytesMax) {
    const found = `the message has ${bytes.byteLength} bytes, ${bodyBytesMax} are allowed`;
    throw new TephraError('body_size_limit', found);
  }
  try {
    return fromBinary(method.desc.input, bytes);
  } catch (error) {
    const text = isErrorLike(error) ? error.message : String(error);
    throw new TephraError('malformed_protobuf', `${method.desc.input.typeName}: ${text}`);
  }
}

/** Takes credits at the metadata, before a byte of the message is read. */
function holdCredits(credits: Credits): ServerInterceptor {
  return (_method, call) => {
    let hold: Hold | undefined;
    let over = false;
    const release = (): void => {
      over = true;
      hold?.release();
    };
    const listener = new ServerListenerBuilder()
      .withOnReceiveMetadata((metadata, next) => {
        credits
          .acquire(LIMITS.unsizedRequestBytes)
          .then((acquired) => {
            hold = acquired;
            if (over) hold.release();
            else next(metadata);
          })
          .catch((thrown: unknown) => {
            const error = TephraError.from(thrown);
            call.sendStatus({
              code: statusNumber(error),
              details: publicMessage(error),
              metadata: metadataOf(errorHeaders(error)),
            });
          });
      })
      .withOnReceiveMessage((message: unknown, next) => {
        if (Buffer.isBuffer(message)) hold?.resize(message.byteLength);
        next(message);
      })
      .withOnCancel(release)
      .build();
    const responder = new ResponderBuilder()
      .withStart((next) => next(listener))
      .withSendStatus((status, next) => {
        release();
        next(status);
      })
      .build();
    return new ServerInterceptingCall(call, responder);
  };
}

function bytesMethod(path: string): MethodDefinition<Buffer, Buffer> {
  return {
    path,
    requestStream: false,
    responseStream: false,
    requestDeserialize: (bytes) => bytes,
    requestSerialize: asBuffer,
    responseDeserialize: (bytes) => bytes,
    responseSerialize: asBuffer,
  };
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function metadataOf(fields: Record<string, string>): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(fields)) metadata.set(name, value);
  return metadata;
}
