import { Code, ConnectError } from '@connectrpc/connect';
import { type ErrorRow, TephraError, type Status } from '../../base/errors.ts';

/**
 * From the reason of an error to what each protocol says. This is the only place that knows.
 *
 * Sources: google.rpc.Code (gRPC and Connect share the numbers); the mapping of Connect codes to HTTP
 * in https://connectrpc.com/docs/protocol/#http-to-error-code.
 */
const CODES: Readonly<Record<Status, { readonly code: Code; readonly http: number }>> = {
  canceled: { code: Code.Canceled, http: 499 },
  invalid_argument: { code: Code.InvalidArgument, http: 400 },
  deadline_exceeded: { code: Code.DeadlineExceeded, http: 504 },
  not_found: { code: Code.NotFound, http: 404 },
  resource_exhausted: { code: Code.ResourceExhausted, http: 429 },
  unimplemented: { code: Code.Unimplemented, http: 501 },
  internal: { code: Code.Internal, http: 500 },
  unavailable: { code: Code.Unavailable, http: 503 },
  data_loss: { code: Code.DataLoss, http: 500 },
  unauthenticated: { code: Code.Unauthenticated, http: 401 },
  failed_precondition: { code: Code.FailedPrecondition, http: 400 },
};

/** Seconds a client should wait before it sends a request again that was refused for now. */
export const RETRY_AFTER_SECONDS = 2;

/** The number of the status in gRPC and Connect. */
export function statusNumber(error: TephraError): number {
  return CODES[error.row.status].code;
}

/** HTTP status of a Connect unary answer. */
export function connectHttpStatus(error: TephraError): number {
  return CODES[error.row.status].http;
}

/**
 * HTTP status of what the edge refuses before any method runs: where clients and proxies tell statuses of
 * HTTP apart, ours is more exact than the code's.
 */
export function edgeHttpStatus(error: TephraError): number {
  return error.reason === 'body_size_limit' || error.reason === 'request_timeout'
    ? error.row.http
    : connectHttpStatus(error);
}

/** Methods that store: what is too large for them is so for ever. */
const PUSHES: ReadonlySet<string> = new Set([
  'push.v1.PusherService/Push',
  'tephra.v1.IngestService/Push',
  'opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export',
]);

/**
 * Why the edge refuses a call of the method `name`. A push too large is the client's fault for ever; a query too
 * large meets a limit of this server.
 */
export function edgeRefusal(thrown: unknown, name: string): TephraError {
  const error = TephraError.from(thrown);
  return error.reason === 'body_size_limit' && !PUSHES.has(name)
    ? new TephraError('query_limit', error.detail)
    : error;
}

/** What a client may read: a bug is in the log, not in the answer. */
export function publicMessage(error: TephraError): string {
  const text =
    error.reason === 'internal' ? 'internal: a bug in Tephra; its log has more' : error.message;
  // A character cut in half would make the libraries throw that write it into a header.
  return Buffer.from(text).toString();
}

/** Headers that go with an error: where waiting helps, for how long; which encodings would be read. */
export function errorHeaders({ reason, row }: TephraError): Record<string, string> {
  if (reason === 'unsupported_encoding') {
    return { 'accept-encoding': 'gzip', 'grpc-accept-encoding': 'gzip' };
  }
  return isWorthRetrying(row) ? { 'retry-after': String(RETRY_AFTER_SECONDS) } : {};
}

/** Whether waiting helps. */
export function isWorthRetrying({ status, retry }: ErrorRow): boolean {
  return status === 'unavailable' || (status === 'resource_exhausted' && retry);
}

/** The error as Connect-ES takes it. */
export function toConnectError(error: TephraError): ConnectError {
  return new ConnectError(
    publicMessage(error),
    CODES[error.row.status].code,
    errorHeaders(error),
    undefined,
    error,
  );
}

/** JSON body of errors on Connect and on plain routes. */
export function errorBody(error: TephraError): string {
  return JSON.stringify({ code: error.row.status, message: publicMessage(error) });
}
