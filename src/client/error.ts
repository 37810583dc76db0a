import { Code, ConnectError } from '@connectrpc/connect';
import { ERRORS, isErrorLike, type Reason } from '../base/errors.ts';
import { SECOND_MS } from '../base/time.ts';
import type { HttpAnswer } from './http-post.ts';

/**
 * Every failure that the client throws. `code` is the gRPC code in lower case (`invalid_argument`,
 * `unavailable`, …); `reason` is one of docs/errors.md where the server gave one, `unreachable` where
 * no server answered, `closed` where the client had been closed, else ''.
 */
export class TephraClientError extends Error {
  override readonly name = 'TephraClientError';
  readonly code: string;
  readonly reason: string;
  /** Whether the same call may succeed later as it is. Sending a profile with an id again is safe. */
  readonly retryable: boolean;
  /** How long the server asks to wait before that, in milliseconds; 0 where it does not say. */
  readonly retryAfterMs: number;

  constructor(
    fields: {
      readonly code: string;
      readonly reason: string;
      readonly retryable: boolean;
      readonly retryAfterMs?: number;
      readonly message: string;
    },
    options?: ErrorOptions,
  ) {
    super(fields.message, options);
    this.code = fields.code;
    this.reason = fields.reason;
    this.retryable = fields.retryable;
    this.retryAfterMs = fields.retryAfterMs ?? 0;
  }
}

/** `invalid_argument` for wrong arguments, found before anything was sent. */
export function refuseArgument(message: string): TephraClientError {
  return new TephraClientError({
    code: 'invalid_argument',
    reason: 'invalid_argument',
    retryable: false,
    message: `invalid_argument: ${message}`,
  });
}

/** `invalid_argument` for an argument of another form. */
export function badForm(name: string, expected: string, found: string): TephraClientError {
  return refuseArgument(`${name}: expected ${expected}, found ${JSON.stringify(found)}`);
}

/** `failed_precondition` for a call of a client that was closed. */
export function refuseClosed(): TephraClientError {
  return new TephraClientError({
    code: 'failed_precondition',
    reason: 'closed',
    retryable: false,
    message: 'closed: the client was closed',
  });
}

/** `internal` for an answer that contradicts itself. */
export function badAnswer(message: string): TephraClientError {
  return new TephraClientError({
    code: 'internal',
    reason: '',
    retryable: false,
    message: `the answer of the server: ${message}`,
  });
}

/** What a call threw, as the one error of the client. */
export function toClientError(thrown: unknown): TephraClientError {
  if (thrown instanceof TephraClientError) return thrown;
  if (isUnreachable(thrown)) {
    const message = `unreachable: no server answers (${rootMessage(thrown)})`;
    const fields = { code: 'unavailable', reason: 'unreachable', retryable: true, message };
    return new TephraClientError(fields, { cause: thrown });
  }
  const error = ConnectError.from(thrown);
  const code = codeName(error.code);
  const reason = reasonOf(error);
  const retryable = isReason(reason) ? ERRORS[reason].retry : RETRYABLE.has(error.code);
  const retryAfterMs = waitOf(error.metadata.get('retry-after'));
  const fields = { code, reason, retryable, retryAfterMs, message: error.rawMessage };
  return new TephraClientError(fields, { cause: thrown });
}

/**
 * An answer other than 200 of a plain HTTP route. One that is none of Tephra's has the code `unknown`, or
 * `unauthenticated` for 401.
 */
export function toIngestError(answer: HttpAnswer): TephraClientError {
  const { status, statusText, retryAfter, text } = answer;
  const { code: told, message: said } = errorBody(text);
  const isTold = typeof said === 'string';
  const known = isTold && typeof told === 'string' ? told : 'unknown';
  const message = isTold ? said : `the server answered ${status} ${statusText}: is it a Tephra?`;
  const reason = isTold ? reasonIn(message) : '';
  return new TephraClientError({
    code: status === 401 ? 'unauthenticated' : known,
    reason,
    retryable: isReason(reason) ? ERRORS[reason].retry : HTTP_RETRYABLE.has(status),
    retryAfterMs: waitOf(retryAfter),
    message,
  });
}

function errorBody(text: string): { readonly code?: unknown; readonly message?: unknown } {
  try {
    const body: unknown = JSON.parse(text);
    return typeof body === 'object' && body !== null ? body : {};
  } catch {
    return {};
  }
}

/** `retry-after` in milliseconds; only seconds are understood, as servers of programs send them. */
function waitOf(retryAfter: string | null | undefined): number {
  return /^\d{1,6}$/.test(retryAfter ?? '') ? Number(retryAfter) * SECOND_MS : 0;
}

/** Too many requests, and what proxies say of a server that is away. */
const HTTP_RETRYABLE: ReadonlySet<number> = new Set([429, 502, 503, 504]);

const RETRYABLE: ReadonlySet<Code> = new Set([
  Code.Unavailable,
  Code.DeadlineExceeded,
  Code.ResourceExhausted,
  Code.Aborted,
]);

function reasonOf(error: ConnectError): string {
  const told = reasonIn(error.rawMessage);
  if (told !== '') return told;
  if (error.code === Code.DeadlineExceeded) return 'deadline';
  return error.code === Code.Canceled ? 'canceled' : '';
}

/** Messages of Tephra begin with the reason. */
function reasonIn(message: string): string {
  const first = /^([a-z_]+): /.exec(message)?.[1] ?? '';
  return isReason(first) ? first : '';
}

function isReason(text: string): text is Reason {
  return Object.hasOwn(ERRORS, text);
}

/** `invalid_argument` for Code.InvalidArgument. */
function codeName(code: Code): string {
  return Code[code].replaceAll(/(?<!^)[A-Z]/g, (letter) => `_${letter}`).toLowerCase();
}

const UNREACHABLE = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOTFOUND',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ETIMEDOUT',
  'EAI_AGAIN',
  'EPIPE',
]);

/** Looks through the causes: Connect wraps the system's error in its own. */
function isUnreachable(thrown: unknown): boolean {
  return causesOf(thrown).some(({ code }) => typeof code === 'string' && UNREACHABLE.has(code));
}

function rootMessage(thrown: unknown): string {
  return causesOf(thrown).at(-1)?.message ?? String(thrown);
}

function causesOf(thrown: unknown): { message: string; code?: unknown }[] {
  const causes: { message: string; code?: unknown }[] = [];
  let at: unknown = thrown;
  while (isErrorLike(at) && causes.length < 5) {
    causes.push(at);
    at = 'cause' in at ? at.cause : undefined;
  }
  return causes;
}
