import { TephraError } from '../../../base/errors.ts';

/** Parts of a form at most. */
const PARTS_MAX = 16;

/**
 * The parts of a multipart form by name (RFC 7578), as views of `body`. Throws `unsupported_format` if the
 * body is no such form, `invalid_argument` if a name repeats: one of the parts would be lost.
 */
export function parseMultipart(body: Uint8Array, contentType: string): Map<string, Uint8Array> {
  const boundary = /;\s*boundary=(?:"([^"]+)"|([^;\s]+))/i.exec(contentType);
  const name = boundary?.[1] ?? boundary?.[2];
  if (name === undefined || name.length > 70) {
    throw new TephraError('unsupported_format', 'the form has no boundary');
  }
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  // The first delimiter has no line break in front of it when nothing precedes it.
  const delimiter = Buffer.from(`--${name}`, 'latin1');
  const separator = Buffer.from(`\r\n--${name}`, 'latin1');
  const parts = new Map<string, Uint8Array>();
  let at = bytes.indexOf(delimiter);
  for (let count = 0; at !== -1; count++) {
    at += delimiter.length;
    if (bytes.subarray(at, at + 2).toString('latin1') === '--') return parts;
    if (count === PARTS_MAX) break;
    const headerEnd = bytes.indexOf('\r\n\r\n', at, 'latin1');
    const end = headerEnd === -1 ? -1 : bytes.indexOf(separator, headerEnd + 2);
    if (end === -1) break;
    const header = bytes.subarray(at, headerEnd).toString('latin1');
    const part = nameOf(header);
    if (part !== undefined) {
      if (parts.has(part)) {
        const shown = JSON.stringify(part.slice(0, 64));
        throw new TephraError('invalid_argument', `the form has two parts named ${shown}`);
      }
      parts.set(part, bytes.subarray(headerEnd + 4, Math.max(end, headerEnd + 4)));
    }
    at = end + 2;
  }
  throw new TephraError('unsupported_format', 'the form is cut or has too many parts');
}

/** The name in the Content-Disposition of a part, quoted or not. Names in other fields mean nothing. */
function nameOf(header: string): string | undefined {
  const disposition = /^content-disposition:(.*)$/im.exec(header)?.[1] ?? '';
  // From one parameter to the next: a quoted file name may hold what looks like another one.
  for (const [, key = '', quoted, word] of disposition.matchAll(
    /;\s*([\w*-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s"]*))/g,
  )) {
    if (key.toLowerCase() === 'name') return quoted ?? word;
  }
  return undefined;
}
