/** A fenced block of a Markdown page. */
export interface Block {
  readonly page: string;
  /** Of its first line of text, from 1. */
  readonly line: number;
  /** What stands behind the fence: `sh`, `js`, `text`. */
  readonly language: string;
  readonly text: string;
}

const FENCE = /^( *)(```|~~~)([^\n]*)\n([\s\S]*?)^\1\2[ ]*$/gm;

/** The fenced blocks of a page, in order, without their indentation. */
export function blocksOf(page: string, text: string): Block[] {
  return [...text.matchAll(FENCE)].map(({ 1: indent = '', 3: info = '', 4: body = '', index }) => ({
    page,
    line: text.slice(0, index).split('\n').length + 1,
    language: info.trim(),
    text: body
      .split('\n')
      .map((line) => (line.startsWith(indent) ? line.slice(indent.length) : line))
      .join('\n'),
  }));
}
