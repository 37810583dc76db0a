/**
 * Calls over a MessagePort: one request, one answer, no stream. Errors cross as the plain form of a
 * TephraError and are a TephraError again on the other side.
 *
 * Byte arrays and columns cross in one of two ways:
 * - **given away** (methods named in `gives`): a typed array that covers its whole buffer is
 *   transferred, and the sender may not touch it again;
 * - **lent** (all others): the sender keeps what it has.
 *
 * A signal as property `signal` of an argument crosses too: when the caller's fires, so does the
 * one that the handler has got, with the same TephraError as its reason.
 *
 * In both, a view of a part of a buffer is copied first: transferring one view would empty its
 * siblings, and cloning one would copy the whole buffer behind it (pooled Buffers: 8 KiB and more).
 */
import { TephraError, type WireError } from '../base/errors.ts';
import { Slots } from '../base/slots.ts';

/** What rpc needs of a `MessagePort` of node:worker_threads. */
export interface Port {
  postMessage(message: unknown, transfer?: readonly ArrayBuffer[]): void;
  on(event: 'message', listener: (message: unknown) => void): unknown;
  on(event: 'close', listener: () => void): unknown;
  close(): void;
}

/** Any object whose methods are all async. */
export type Methods<T> = {
  readonly [Name in keyof T]: T[Name] extends (...args: never[]) => Promise<unknown>
    ? T[Name]
    : never;
};

/** The serving end of a port. */
export interface Served {
  /** Resolves when the port has closed and every call that came through it has been served. */
  readonly ended: Promise<void>;
}

/** The calling end of a port. */
export interface Connection<T> {
  /** Each method posts a call and resolves with its answer. */
  readonly api: T;
  /** Fails all pending calls and closes the port; `worker_died` unless an error is given. */
  close(error?: TephraError): void;
}

type Request =
  | readonly [
      kind: 'call',
      id: number,
      method: string,
      args: readonly unknown[],
      /** Which of the arguments have a signal. */
      signals: readonly number[],
    ]
  /** The signal of that call has fired. */
  | readonly [kind: 'cancel', id: number, reason: WireError];
type Answer =
  | readonly [kind: 'value', id: number, value: unknown]
  | readonly [kind: 'error', id: number, error: WireError];

/**
 * Serves calls that arrive at `port` with the methods of `handlers`. Results of the methods named in
 * `gives` are given away. Everything that a handler throws crosses as a TephraError.
 */
export function serve<T extends Methods<T>>(
  port: Port,
  handlers: T,
  gives: readonly (keyof T & string)[] = [],
): Served {
  const given = new Set<string>(gives);
  let running = 0;
  let closed = false;
  let end = (): void => {};
  const ended = new Promise<void>((resolve) => (end = resolve));

  const post = (answer: Answer, give: boolean): void => {
    const { message, transfer } = pack(answer, give);
    port.postMessage(message, transfer);
  };
  const cancels = new Map<number, AbortController>();
  const answer = async (request: Request & { readonly 0: 'call' }): Promise<void> => {
    const [, id, method, plain, signals] = request;
    let args = plain;
    if (signals.length > 0) {
      const controller = new AbortController();
      cancels.set(id, controller);
      args = plain.map((arg, index) =>
        signals.includes(index) ? { ...(arg as object), signal: controller.signal } : arg,
      );
    }
    try {
      const handler = (handlers as Record<string, unknown>)[method];
      if (typeof handler !== 'function') {
        throw new TephraError('unimplemented', `no method ${method}`);
      }
      const value: unknown = await handler.apply(handlers, args);
      post(['value', id, value], given.has(method));
    } catch (error) {
      post(['error', id, TephraError.from(error).toWire()], false);
    } finally {
      cancels.delete(id);
    }
  };
  port.on('message', (message) => {
    const request = message as Request;
    if (request[0] === 'cancel') cancels.get(request[1])?.abort(TephraError.from(request[2]));
    if (request[0] !== 'call') return;
    running++;
    void answer(request).finally(() => {
      running--;
      if (closed && running === 0) end();
    });
  });
  // A port delivers what was posted before it says that the other end is gone.
  port.on('close', () => {
    closed = true;
    if (running === 0) end();
  });
  return { ended };
}

/**
 * Calls the methods that the other end of `port` serves. Arguments of the methods named in `gives`
 * are given away. When the port closes, pending and later calls reject with `worker_died`; before
 * the first of them does, `onClose` is called.
 */
export function connect<T extends Methods<T>>(
  port: Port,
  gives: readonly (keyof T & string)[] = [],
  onClose: () => void = () => {},
): Connection<T> {
  const given = new Set<string>(gives);
  /** The id of a call is its place: it is given again after its answer, and nothing of it comes later. */
  const pending = new Slots<Pending>();
  let closed: TephraError | undefined;

  const end = (error: TephraError): void => {
    if (closed !== undefined) return;
    closed = error;
    onClose();
    for (const call of pending.values()) call.reject(error);
  };
  port.on('message', (message) => {
    const answer = message as Answer;
    const call = pending.take(answer[1]);
    if (call === undefined) return;
    if (answer[0] === 'value') call.resolve(answer[2]);
    else call.reject(TephraError.from(answer[2]));
  });
  port.on('close', () => end(new TephraError('worker_died', 'the port closed')));

  const call = (method: string, args: readonly unknown[]): Promise<unknown> =>
    new Promise((resolve, reject) => {
      if (closed !== undefined) {
        reject(closed);
        return;
      }
      const { plain, signals, signal } = withoutSignals(args);
      const id = pending.add({
        resolve: (value) => {
          done();
          resolve(value);
        },
        reject: (error) => {
          done();
          reject(error);
        },
      });
      const cancel = (): void => {
        const reason = TephraError.from(signal?.reason).toWire();
        port.postMessage(['cancel', id, reason] satisfies Request);
      };
      const done = (): void => signal?.removeEventListener('abort', cancel);
      try {
        const request: Request = ['call', id, method, plain, signals];
        const { message, transfer } = pack(request, given.has(method));
        port.postMessage(message, transfer);
        if (signal?.aborted === true) cancel();
        else signal?.addEventListener('abort', cancel);
      } catch (error) {
        // What cannot be cloned is a bug of the caller.
        pending.take(id)?.reject(TephraError.from(error));
      }
    });
  const methods = new Map<string, (...args: unknown[]) => Promise<unknown>>();
  const api = new Proxy(Object.create(null) as object, {
    get(_target, name) {
      // A promise resolved with the proxy must not take it for a thenable.
      if (typeof name !== 'string' || name === 'then') return undefined;
      let method = methods.get(name);
      if (method === undefined) {
        method = (...args) => call(name, args);
        methods.set(name, method);
      }
      return method;
    },
  }) as T;
  return {
    api,
    close(error = new TephraError('worker_died', 'the connection was closed')) {
      end(error);
      port.close();
    },
  };
}

/** The arguments without their signals, which cannot cross; all of one call are the same one. */
function withoutSignals(args: readonly unknown[]): {
  readonly plain: readonly unknown[];
  readonly signals: readonly number[];
  readonly signal: AbortSignal | undefined;
} {
  const signals: number[] = [];
  let found: AbortSignal | undefined;
  const plain = args.map((arg, index) => {
    if (typeof arg !== 'object' || arg === null || !('signal' in arg)) return arg;
    const { signal, ...rest } = arg;
    if (signal !== undefined) {
      found = signal as AbortSignal;
      signals.push(index);
    }
    return rest;
  });
  return { plain, signals, signal: found };
}

interface Pending {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: TephraError) => void;
}

/** A message that may be posted, and the buffers that go with it. */
interface Packed {
  readonly message: unknown;
  readonly transfer: readonly ArrayBuffer[];
}

function pack(message: unknown, give: boolean): Packed {
  const transfer = new Set<ArrayBuffer>();
  const packed = packValue(message, give, transfer);
  return { message: packed, transfer: [...transfer] };
}

/** `value`, with each part view replaced by a copy; the same object where nothing was replaced. */
function packValue(value: unknown, give: boolean, transfer: Set<ArrayBuffer>): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (ArrayBuffer.isView(value)) return packView(value as Column, give, transfer);
  if (Array.isArray(value)) {
    const items = value as readonly unknown[];
    let copy: unknown[] | undefined;
    for (let index = 0; index < items.length; index++) {
      const item = items[index];
      const packed = packValue(item, give, transfer);
      if (packed === item) continue;
      copy ??= [...items];
      copy[index] = packed;
    }
    return copy ?? value;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  // Maps, sets and dates cross by structured clone as they are.
  if (prototype !== null && Object.prototype.toString.call(value) !== '[object Object]') {
    return value;
  }
  let copy: Record<string, unknown> | undefined;
  for (const [key, item] of Object.entries(value)) {
    const packed = packValue(item, give, transfer);
    if (packed === item) continue;
    copy ??= { ...value };
    copy[key] = packed;
  }
  return copy ?? value;
}

/** The typed arrays: all that rpc needs of them. */
interface Column {
  readonly buffer: ArrayBufferLike;
  readonly byteOffset: number;
  readonly byteLength: number;
  slice(): Column;
}

/** What is lent and has so many bytes is copied once and the copy given away. */
const COPIED_BYTES = 16 * 1024;

function packView(view: Column, give: boolean, transfer: Set<ArrayBuffer>): Column {
  const whole = view.byteOffset === 0 && view.byteLength === view.buffer.byteLength;
  if (whole) {
    // Cloning copies exactly these bytes, twice; giving them away copies nothing.
    if (give && view.byteLength > 0) transfer.add(view.buffer as ArrayBuffer);
    if (give || view.byteLength < COPIED_BYTES) return view;
  }
  const copy = Buffer.isBuffer(view) ? new Uint8Array(view) : view.slice();
  if (copy.byteLength > 0) transfer.add(copy.buffer as ArrayBuffer);
  return copy;
}
