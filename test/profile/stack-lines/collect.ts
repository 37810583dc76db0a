import { LineSplitter } from '../../../src/profile/stack-lines/line-splitter.ts';
import type { StackReader, StackSink } from '../../../src/profile/stack-lines/sample.ts';

/** What a reader found in a text. */
export interface Found {
  /** `root;…;leaf count`, with ` nanos` behind where the tool tells it. */
  readonly stacks: string[];
  readonly troubles: string[];
}

/** Reads a text that comes in pieces. */
export function collect(
  pieces: readonly Uint8Array[],
  open: (sink: StackSink) => StackReader,
  lineBytesMax?: number,
): Found {
  const found: Found = { stacks: [], troubles: [] };
  const reader = open({
    stack: ({ frames, count, nanos }) => {
      found.stacks.push(`${frames.join(';')} ${count}${nanos === undefined ? '' : ` ${nanos}`}`);
    },
    trouble: (why) => found.troubles.push(why),
  });
  const splitter = new LineSplitter(
    {
      line: (text) => reader.line(text),
      long: (bytes) => found.troubles.push(`a line of ${bytes} bytes`),
    },
    lineBytesMax,
  );
  for (const piece of pieces) splitter.add(piece);
  splitter.end();
  reader.end();
  return found;
}

/** The same of a text in one piece. */
export function collectText(text: string, open: (sink: StackSink) => StackReader): Found {
  return collect([Buffer.from(text)], open);
}
