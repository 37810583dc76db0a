/**
 * Names come from the programs that were profiled. On a terminal a control character in one could move
 * the cursor or set the title, and one that turns the direction of text could make another name of it.
 */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/gu;

/** `text` with every control and direction character shown as `\u{1b}`. */
export function printable(text: string): string {
  return text.replaceAll(
    UNSAFE,
    (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );
}

/** At most `length` characters of `text`; what is cut in the middle shows as an ellipsis. */
export function shortened(text: string, length: number): string {
  if (text.length <= length) return text;
  if (length < 8) return text.slice(0, Math.max(0, length));
  // The end of a name says more than its beginning: the function is behind the package.
  const head = Math.floor((length - 1) / 3);
  return `${text.slice(0, head)}…${text.slice(text.length - (length - 1 - head))}`;
}
