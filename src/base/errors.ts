/**
 * Every operating error of Tephra is a {@link TephraError} with one reason of the table below. The
 * reason decides the gRPC status, the HTTP status and whether a client should try again; it is also
 * the metric label and the heading in docs/errors.md. Bugs are assertions (assert.ts), not rows here.
 *
 * Source of the codes: google.rpc.Code and the Connect protocol's mapping to HTTP.
 */

/** A gRPC status by its Connect name. */
export type Status =
  | 'canceled'
  | 'invalid_argument'
  | 'deadline_exceeded'
  | 'not_found'
  | 'resource_exhausted'
  | 'unimplemented'
  | 'internal'
  | 'unavailable'
  | 'data_loss'
  | 'unauthenticated'
  | 'failed_precondition';

/** One row of the error table. */
export interface ErrorRow {
  readonly status: Status;
  /** Status on plain HTTP routes; Connect routes follow from `status` alone. */
  readonly http: number;
  /** Whether the same request may succeed later without a change. */
  readonly retry: boolean;
  /** What it means, in one line; the same as in docs/errors.md. */
  readonly means: string;
}

const invalid = (means: string, http = 400): ErrorRow => ({
  status: 'invalid_argument',
  http,
  retry: false,
  means,
});
const tooBig = (means: string): ErrorRow => invalid(means, 413);
const refusedForNow = (means: string): ErrorRow => ({
  status: 'unavailable',
  http: 503,
  retry: true,
  means,
});

/** The error table, by reason. Reasons never change their meaning; messages may. */
export const ERRORS = {
  // The bytes.
  malformed_protobuf: invalid('the message is not valid protobuf'),
  malformed_json: invalid('the message is not valid JSON of its kind'),
  nesting_too_deep: invalid('messages are nested deeper than the limit'),
  too_many_fields: tooBig('the message has more unknown fields than the limit'),
  empty_request: invalid('the request holds nothing to do'),
  invalid_utf8: invalid('a text is not valid UTF-8'),
  malformed_gzip: invalid('the gzip stream is damaged or cut'),
  nested_compression: invalid('the body is compressed more than twice'),
  unsupported_format: invalid('the body is in a format that is not read'),
  unsupported_encoding: {
    status: 'unimplemented',
    http: 415,
    retry: false,
    means: 'the content encoding is not supported',
  },
  unsupported_media_type: {
    status: 'unimplemented',
    http: 415,
    retry: false,
    means: 'the content type is not served here',
  },
  otlp_layout: invalid('the profiles are in a layout of OTLP older than 1.10'),
  otlp_table_limit: tooBig('a table of an OTLP request has more rows than the limit'),
  profiles_limit: tooBig('the request has more profiles than the limit'),
  // The profile.
  malformed_profile: invalid('the profile contradicts itself', 422),
  malformed_folded: invalid('a folded line is not "frame;frame count"', 422),
  concatenated_profiles: invalid('the body holds more than one profile', 422),
  invalid_duration: invalid('the duration of the profile is negative or over a day', 422),
  empty_profile: invalid('the profile has no samples', 422),
  samples_limit: tooBig('the profile has more samples than the limit'),
  stack_depth: tooBig('a stack is deeper than the limit'),
  total_frames_limit: tooBig('the profile has more frames in all than the limit'),
  strings_limit: tooBig('the profile has more strings than the limit'),
  functions_limit: tooBig('the profile has more functions than the limit'),
  locations_limit: tooBig('the profile has more locations than the limit'),
  location_lines_limit: tooBig('a location has more inlined lines than the limit'),
  mappings_limit: tooBig('the profile has more mappings than the limit'),
  sample_types_limit: tooBig('the profile has more sample types than the limit'),
  sample_labels_limit: tooBig('a sample has more labels than the limit'),
  decompressed_size: tooBig('the decompressed profile is larger than the limit'),
  body_size_limit: tooBig('the request body is larger than the limit'),
  tiny_pieces: invalid('the body comes in too many tiny pieces'),
  header_too_large: invalid('the headers are more or larger than the limit', 431),
  url_too_long: invalid('the URL is longer than the limit', 414),
  too_many_parameters: invalid('the URL has more query parameters than the limit'),
  request_timeout: {
    status: 'deadline_exceeded',
    http: 408,
    retry: true,
    means: 'the request did not arrive in time',
  },
  // Streams.
  malformed_open: invalid('the first message of a stream has a field that is wrong'),
  malformed_batch: invalid('a batch of a stream contradicts itself'),
  unknown_reference: invalid('a batch refers to a row that was not sent before'),
  stream_order: invalid('a message of a stream is out of order'),
  stream_limit: tooBig('a stream has more rows or entries than the limit'),
  unsupported_version: {
    status: 'failed_precondition',
    http: 412,
    retry: false,
    means: 'the version of the stream protocol is not spoken here',
  },
  epoch_unknown: {
    status: 'failed_precondition',
    http: 412,
    retry: false,
    means: 'the server has no tables of this epoch: begin a new one',
  },
  stream_replaced: {
    status: 'failed_precondition',
    http: 412,
    retry: false,
    means: 'the same agent has opened another stream',
  },
  stream_silent: refusedForNow('the stream was silent for too long'),
  // Labels and series.
  missing_labels: invalid('a required label is missing'),
  invalid_label_name: invalid('a label name is empty or has characters that are not allowed'),
  label_name_too_long: invalid('a label name is longer than the limit'),
  label_value_too_long: invalid('a label value is longer than the limit'),
  max_label_names_per_series: invalid('the series has more labels than the limit'),
  duplicate_label_names: invalid('a label name appears twice'),
  reserved_label_name: invalid('the label name is made by the server'),
  invalid_profile_type: invalid('the profile type is not name:type:unit:period_type:period_unit'),
  series_limit: {
    status: 'resource_exhausted',
    http: 429,
    retry: true,
    means: 'the tenant has as many series today as the limit allows',
  },
  // Time.
  not_in_ingestion_window: invalid('the profile is older or newer than what is accepted'),
  invalid_time: invalid('the time is not understood'),
  invalid_time_range: invalid('the range ends before it starts'),
  missing_time_range: invalid('the query has no time range'),
  // Queries.
  parse_error: invalid('the selector does not parse'),
  invalid_regex: invalid('the regular expression does not parse or is not RE2'),
  regex_too_large: invalid('the regular expression is larger than the limit'),
  selector_too_large: invalid('the selector is larger than the limit'),
  invalid_step: invalid('the step is missing or below a millisecond'),
  too_many_points: invalid('the range has more steps than the limit'),
  invalid_max_nodes: invalid('max_nodes is out of range'),
  invalid_argument: invalid('a field of the request has a value that is not allowed'),
  incompatible_profiles: invalid('the two sides have different profile types'),
  query_limit: {
    status: 'resource_exhausted',
    http: 413,
    retry: false,
    means: 'the query needs more than its limit: narrow the range or the selector',
  },
  too_many_queries: {
    status: 'resource_exhausted',
    http: 429,
    retry: true,
    means: 'too many queries run at once',
  },
  not_found: { status: 'not_found', http: 404, retry: false, means: 'there is no such thing' },
  unimplemented: {
    status: 'unimplemented',
    http: 501,
    retry: false,
    means: 'the method is not built yet',
  },
  // The server's own state.
  overloaded: refusedForNow('the server has as much in flight as it allows'),
  draining: refusedForNow('the server is stopping'),
  starting: refusedForNow('the server is starting'),
  write_unknown: refusedForNow('the outcome of the write is not known; sending again is safe'),
  worker_died: refusedForNow('the worker thread ended and is started again'),
  read_restarted: refusedForNow('what was read kept changing; ask again'),
  storage_full: refusedForNow('the disk is full'),
  scratch_failed: refusedForNow('the disk failed under the file of a large answer'),
  volume_quarantined: refusedForNow('a volume is set aside because it is damaged'),
  deadline: {
    status: 'deadline_exceeded',
    http: 504,
    retry: true,
    means: 'the deadline passed before the answer was ready',
  },
  canceled: { status: 'canceled', http: 499, retry: false, means: 'the client left' },
  corrupt_block: {
    status: 'data_loss',
    http: 500,
    retry: false,
    means: 'stored bytes fail their checksum or do not decode',
  },
  ledger_gap: {
    status: 'data_loss',
    http: 500,
    retry: false,
    means: 'fragments that were acknowledged are missing',
  },
  // Starting.
  invalid_configuration: invalid('a flag, variable or file holds a value that is not allowed'),
  insecure_listen: {
    status: 'failed_precondition',
    http: 412,
    retry: false,
    means: 'listening beyond loopback without credentials needs --insecure-no-auth',
  },
  address_in_use: {
    status: 'failed_precondition',
    http: 412,
    retry: false,
    means: 'another program listens on the address',
  },
  data_dir_in_use: {
    status: 'failed_precondition',
    http: 412,
    retry: false,
    means: 'another Tephra holds the data directory',
  },
  data_dir_unusable: {
    status: 'failed_precondition',
    http: 412,
    retry: false,
    means: 'the data directory cannot be used',
  },
  unknown_format_version: {
    status: 'failed_precondition',
    http: 412,
    retry: false,
    means: 'the data was written by a newer Tephra',
  },
  internal: { status: 'internal', http: 500, retry: true, means: 'a bug in Tephra' },
} as const satisfies Record<string, ErrorRow>;

/** A reason of the table. */
export type Reason = keyof typeof ERRORS;

/** An operating error; `message` begins with the reason and tells what was expected and found. */
export class TephraError extends Error {
  override readonly name = 'TephraError';
  readonly reason: Reason;
  /** The message without the reason in front. */
  readonly detail: string;

  constructor(reason: Reason, detail: string, options?: ErrorOptions) {
    super(`${reason}: ${detail}`, options);
    this.reason = reason;
    this.detail = detail;
  }

  /** The row of the table. */
  get row(): ErrorRow {
    return ERRORS[this.reason];
  }

  /**
   * The single funnel from a caught value: keeps a TephraError (also one that crossed a thread as a
   * plain object), makes anything else `internal` with the original as `cause`.
   */
  static from(thrown: unknown): TephraError {
    if (thrown instanceof TephraError) return thrown;
    if (isWireError(thrown)) return new TephraError(thrown.reason, thrown.detail);
    const text = isErrorLike(thrown) ? thrown.message : String(thrown);
    return new TephraError('internal', text, { cause: thrown });
  }

  /** The form that crosses a thread. */
  toWire(): WireError {
    return { reason: this.reason, detail: this.detail };
  }
}

/** A {@link TephraError} as a plain object. */
export interface WireError {
  readonly reason: Reason;
  readonly detail: string;
}

function isWireError(value: unknown): value is WireError {
  return (
    typeof value === 'object' &&
    value !== null &&
    'reason' in value &&
    'detail' in value &&
    typeof value.reason === 'string' &&
    Object.hasOwn(ERRORS, value.reason)
  );
}

/** Has a message: core errors are not `instanceof Error` in every realm, so they are told by shape. */
export function isErrorLike(value: unknown): value is { message: string; code?: unknown } {
  return (
    typeof value === 'object' &&
    value !== null &&
    'message' in value &&
    typeof value.message === 'string'
  );
}

/** Whether a caught value is the system error `code` (ENOENT, EADDRINUSE, ...). */
export function isErrno(value: unknown, code: string): boolean {
  return isErrorLike(value) && value.code === code;
}
