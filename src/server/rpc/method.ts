import type { DescMessage, DescMethodUnary, Message, MessageShape } from '@bufbuild/protobuf';
import type { EncodedAnswer } from '../../query/request.ts';

/** What a method knows of its call, whatever the protocol. */
export interface CallContext {
  /** Until credentials exist there is one tenant, and `X-Scope-OrgID` is ignored. */
  readonly tenant: string;
  /** When the request was complete, Unix ms. */
  readonly arrivalMs: number;
  /** Whether the client can read label names beyond `[a-zA-Z_][a-zA-Z0-9_]*`. */
  readonly utf8LabelNames: boolean;
}

/** An answer: a message, or the bytes of one that a worker has encoded. */
export type Reply<O extends DescMessage> =
  | { readonly message: MessageShape<O> }
  | { readonly encoded: EncodedAnswer };

/** One RPC for all protocols: how its messages look and what it does. */
export interface RpcMethod {
  readonly desc: DescMethodUnary;
  /** `querier.v1.QuerierService/Diff`: the path without the slash in front, and the metric label. */
  readonly name: string;
  /** Rejects with a TephraError. */
  run(request: Message, call: CallContext): Promise<Reply<DescMessage>>;
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
