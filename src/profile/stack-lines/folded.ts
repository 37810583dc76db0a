import { FrameList } from './frame-list.ts';
import { shownLine, wholeNumber, type StackReader, type StackSink } from './sample.ts';

/**
 * Collapsed stacks, `root;caller;leaf 10`, one a line, as `stackcollapse-*` and `py-spy record -f raw`
 * print them: the count is behind the last space. Empty lines, empty frames and comments (`# …`, `// …`)
 * are passed over, as by `FoldedReader`, which refuses a file with a line that is none of these.
 */
export class FoldedLines implements StackReader {
  readonly #sink: StackSink;
  readonly #frames = new FrameList();

  constructor(sink: StackSink) {
    this.#sink = sink;
  }

  line(text: string): void {
    const line = text.trim();
    if (line === '' || /^(?:#|\/\/)(?:\s|$)/.test(line)) return;
    const space = Math.max(line.lastIndexOf(' '), line.lastIndexOf('\t'));
    const count = wholeNumber(line.slice(space + 1));
    for (const frame of line.slice(0, Math.max(space, 0)).split(';').reverse()) {
      const name = frame.trim();
      if (name !== '') this.#frames.push(name);
    }
    const frames = this.#frames.take([]);
    if (count === undefined || frames.length === 0) {
      this.#sink.trouble(`expected "frame;frame count", found ${shownLine(line)}`);
    } else {
      this.#sink.stack({ frames, count });
    }
  }

  end(): void {}
}
