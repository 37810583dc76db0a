import type {
  DescMessage,
  DescMethodServerStreaming,
  DescMethodUnary,
  Message,
  MessageShape,
} from '@bufbuild/protobuf';
import type { LossNotes } from '../../query/losses.ts';
import type { EncodedAnswer } from '../../query/request.ts';

/** What a method knows of its call, whatever the protocol. */
export interface CallContext {
  /** Until credentials exist there is one tenant, and `X-Scope-OrgID` is ignored. */
  readonly tenant: string;
  /** When the request was complete, Unix ms. */
  readonly arrivalMs: number;
  /** Whether the client can read label names beyond `[a-zA-Z_][a-zA-Z0-9_]*`. */
  readonly utf8LabelNames: boolean;
  /** Fires, with a TephraError as its reason, when the client leaves or its deadline passes. */
  readonly signal: AbortSignal;
}

/** An answer: a message, or the bytes of one that a worker has encoded. */
export type Reply<O extends DescMessage> =
  | { readonly message: MessageShape<O>; readonly losses?: LossNotes | undefined }
  | { readonly encoded: EncodedAnswer };

/** One RPC with one answer, for all protocols: how its messages look and what it does. */
export interface RpcMethod {
  readonly desc: DescMethodUnary;
  /** `querier.v1.QuerierService/Diff`: the path without the slash in front, and the metric label. */
  readonly name: string;
  /** Its requests are {@link BytesRequest}s: decoding them is not the edge's business. */
  readonly takesBytes?: boolean;
  /** Rejects with a TephraError. */
  run(request: Message, call: CallContext): Promise<Reply<DescMessage>>;
}

/** A request as it came. */
export interface BytesRequest extends Message {
  /** Not compressed. */
  readonly bytes: Uint8Array;
  readonly isJson: boolean;
}

/** One RPC with one request and any number of answers. */
export interface RpcStream {
  readonly desc: DescMethodServerStreaming;
  /** As {@link RpcMethod.name}. */
  readonly name: string;
  /** Each answer is asked for when the client has taken those before. Throws TephraErrors. */
  run(request: Message, call: CallContext): AsyncIterable<Reply<DescMessage>>;
}

/** Any RPC that all protocols serve. */
export type AnyRpc = RpcMethod | RpcStream;

/** Whether an RPC has a stream of answers. */
export function isStream(rpc: AnyRpc): rpc is RpcStream {
  return rpc.desc.methodKind === 'server_streaming';
}

/** Makes an {@link RpcMethod}; the types of request and answer follow from the description. */
export function rpcMethod<I extends DescMessage, O extends DescMessage>(
  desc: DescMethodUnary<I, O>,
  run: (request: MessageShape<I>, call: CallContext) => Promise<Reply<O>>,
): RpcMethod {
  return {
    desc,
    name: `${desc.parent.typeName}/${desc.name}`,
    run: (request, call) => run(request as MessageShape<I>, call),
  };
}

/** Makes an {@link RpcMethod} that gets its requests as they came. */
export function bytesMethod<O extends DescMessage>(
  desc: DescMethodUnary<DescMessage, O>,
  run: (request: BytesRequest, call: CallContext) => Promise<Reply<O>>,
): RpcMethod {
  return {
    desc,
    name: `${desc.parent.typeName}/${desc.name}`,
    takesBytes: true,
    run: (request, call) => run(request as BytesRequest, call),
  };
}

/** The request of a call, decoded unless the method wants it as it came. Throws as `decode` does. */
export function requestOf(
  method: AnyRpc,
  bytes: Uint8Array,
  isJson: boolean,
  decode: (input: DescMessage, bytes: Uint8Array) => Message,
): Message {
  if (isStream(method) || method.takesBytes !== true) return decode(method.desc.input, bytes);
  const request: BytesRequest = { $typeName: method.desc.input.typeName, bytes, isJson };
  return request;
}

/** Makes an {@link RpcStream}. */
export function rpcStream<I extends DescMessage, O extends DescMessage>(
  desc: DescMethodServerStreaming<I, O>,
  run: (request: MessageShape<I>, call: CallContext) => AsyncIterable<Reply<O>>,
): RpcStream {
  return {
    desc,
    name: `${desc.parent.typeName}/${desc.name}`,
    run: (request, call) => run(request as MessageShape<I>, call),
  };
}
