/**
 * Order of two texts by their UTF-8 bytes (= by code points): what "sorted" means in every answer.
 * Plain `<` compares UTF-16 units, which puts U+FFFD after an emoji.
 */
export function compareText(a: string, b: string): number {
  const size = Math.min(a.length, b.length);
  let at = 0;
  while (at < size && a.charCodeAt(at) === b.charCodeAt(at)) at++;
  if (at === size) return a.length - b.length;
  return rank(a.charCodeAt(at)) - rank(b.charCodeAt(at));
}

/** The distinct texts in byte order. */
export function sortedTexts(texts: Iterable<string>): string[] {
  return [...new Set(texts)].sort(compareText);
}

/** Lifts surrogates above the rest of the basic plane, where their code points are. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit < 0xe000 ? unit + 0x10000 : unit;
}
