import { TephraError } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';

/** How large requests may be, and how many there may be at once. */
export interface RequestBounds {
  /** Names and values of all headers of a request. */
  readonly headerBytesMax: number;
  /** Open HTTP/2 streams: of all, of one address, of one connection. */
  readonly streamsMax: number;
  readonly streamsPerAddressMax: number;
  readonly streamsPerConnectionMax: number;
}

/** Why the headers are too many or too large, undefined if they are not. */
export function headerExcess(
  rawHeaders: readonly string[],
  bytesMax: number,
): TephraError | undefined {
  if (rawHeaders.length > 2 * LIMITS.headersMax) {
    return new TephraError('header_too_large', `more than ${LIMITS.headersMax} headers`);
  }
  const bytes = rawHeaders.reduce((sum, text) => sum + text.length, 0);
  if (bytes <= bytesMax) return undefined;
  const found = `${bytes} bytes of headers, ${bytesMax} are allowed`;
  return new TephraError('header_too_large', found);
}

/** Why the URL is too long, undefined if it is not. */
export function urlExcess(url: string | undefined): TephraError | undefined {
  const bytes = url?.length ?? 0;
  return bytes > LIMITS.urlBytesMax
    ? new TephraError('url_too_long', `${bytes} bytes, ${LIMITS.urlBytesMax} are allowed`)
    : undefined;
}
