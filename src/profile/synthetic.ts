import { concatBytes, utf8 } from '../base/bytes.ts';

/** Function name of the frame that stands for a sample without a stack. */
export const NO_STACK_TEXT = '(no stack)';
/** Function name of the frame that stands for the frames cut off at the root of a deep stack. */
export const TRUNCATED_TEXT = '(truncated)';

/**
 * Strings of columns are ranges of the payload, so texts that are not in it need a longer copy.
 * Returns it, and sets the ranges of `texts` from row `from` on.
 */
export function appendTexts(
  bytes: Uint8Array,
  texts: readonly string[],
  stringStart: Uint32Array,
  stringEnd: Uint32Array,
  from: number,
): Uint8Array {
  const parts = [bytes];
  let at = bytes.byteLength;
  texts.forEach((text, i) => {
    const part = utf8(text);
    stringStart[from + i] = at;
    at += part.byteLength;
    stringEnd[from + i] = at;
    parts.push(part);
  });
  return concatBytes(parts);
}
