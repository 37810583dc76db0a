import { ByteWriter } from '../../base/bytes.ts';
import type { TephraError } from '../../base/errors.ts';
import {
  isWorthRetrying,
  publicMessage,
  RETRY_AFTER_SECONDS,
  statusNumber,
} from '../answer/status.ts';

const TYPE_URL = 'type.googleapis.com/google.rpc.';

/**
 * An error as `google.rpc.Status`, which senders of OTLP read from the body, or from the trailer
 * `grpc-status-details-bin`: with `RetryInfo` where sending again helps, with `BadRequest` where the request is
 * wrong.
 *
 * Source: https://github.com/googleapis/googleapis/tree/master/google/rpc (status.proto, error_details.proto)
 */
export function statusMessage(error: TephraError): Uint8Array {
  const message = publicMessage(error);
  const all = new ByteWriter();
  all.u8(0x08).varint(statusNumber(error)).u8(0x12).text(message);
  const detail = detailOf(error);
  if (detail !== undefined) {
    const value = new ByteWriter();
    if (detail === 'RetryInfo') {
      // Duration{seconds} in field 1.
      const delay = new ByteWriter().u8(0x08).varint(RETRY_AFTER_SECONDS);
      value.u8(0x0a).block(delay.view());
    } else {
      // FieldViolation{description} in field 1.
      value.u8(0x0a).block(new ByteWriter().u8(0x12).text(message).view());
    }
    const any = new ByteWriter().u8(0x0a).text(TYPE_URL + detail);
    any.u8(0x12).block(value.view());
    all.u8(0x1a).block(any.view());
  }
  return all.finish();
}

/** The same in JSON. */
export function statusJson(error: TephraError): string {
  const message = publicMessage(error);
  const detail = detailOf(error);
  const fields =
    detail === 'RetryInfo'
      ? { retryDelay: `${RETRY_AFTER_SECONDS}s` }
      : { fieldViolations: [{ description: message }] };
  const details = detail === undefined ? [] : [{ '@type': TYPE_URL + detail, ...fields }];
  return JSON.stringify({ code: statusNumber(error), message, details });
}

function detailOf(error: TephraError): 'RetryInfo' | 'BadRequest' | undefined {
  if (isWorthRetrying(error.row)) return 'RetryInfo';
  return error.row.status === 'invalid_argument' ? 'BadRequest' : undefined;
}
