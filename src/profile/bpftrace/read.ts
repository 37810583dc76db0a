import { FrameList } from '../stack-lines/frame-list.ts';
import { shownLine, wholeNumber, type StackReader, type StackSink } from '../stack-lines/sample.ts';

const BEGIN = /^@\w*\[(.*)$/;
const END = /^(.*)\]: (-?\d+)$/;
/** Also what it says by itself: `Attaching 1 probe...`, a map that is a number. */
const OTHER = /^(?:Attaching \d+ probes?\.\.\.|Attached \d+ probes?|@\w*: .*)$/;

/**
 * What bpftrace prints of a map of counts whose key has stacks: `@[kstack, ustack, comm] = count()`.
 *
 *     @[
 *         tcp_recvmsg+808
 *         vfs_read+145
 *     ,
 *         read+16
 *         main+80
 *     , curl]: 3
 *
 * Stacks are leaf first, the kernel's before that of the program; all other parts of the key become frames
 * at the root. A key without a stack is one of frames.
 */
export class BpftraceLines implements StackReader {
  readonly #sink: StackSink;
  /** Whether a key has begun. */
  #isOpen = false;
  readonly #frames = new FrameList();
  /** Parts of the key that are no stacks. */
  #roots: string[] = [];

  constructor(sink: StackSink) {
    this.#sink = sink;
  }

  line(text: string): void {
    const begin = BEGIN.exec(text);
    if (begin !== null) {
      this.#abandon();
      this.#isOpen = true;
      this.#key(begin[1] ?? '', true);
      return;
    }
    if (this.#isOpen) this.#key(text, false);
    else if (text.trim() !== '' && !OTHER.test(text)) {
      this.#sink.trouble(`expected a map of stacks, found ${shownLine(text)}`);
    }
  }

  end(): void {
    this.#abandon();
  }

  /** A line of a key, or what stands behind the bracket of its first. */
  #key(text: string, isFirst: boolean): void {
    const end = END.exec(text);
    const part = end?.[1] ?? text;
    // Frames are indented; what is not are the other parts of the key.
    if (/^\s+\S/.test(part) && !isFirst) this.#frames.push(frameName(part.trim()));
    else {
      for (const other of part.split(', ')) {
        const name = other.replace(/^,/, '').trim();
        if (name !== '' && this.#roots.length < OTHERS_MAX) this.#roots.push(name);
      }
    }
    if (end !== null) this.#finish(end[2] ?? '');
  }

  #finish(digits: string): void {
    const count = wholeNumber(digits);
    const frames = this.#frames.take(this.#roots);
    if (count === undefined) this.#sink.trouble(`expected a count, found ${shownLine(digits)}`);
    else this.#sink.stack({ frames: frames.length > 0 ? frames : [UNKNOWN], count });
    this.#reset();
  }

  #abandon(): void {
    if (this.#isOpen) this.#sink.trouble('a map of stacks breaks off');
    this.#frames.take([]);
    this.#reset();
  }

  #reset(): void {
    this.#isOpen = false;
    this.#roots = [];
  }
}

const UNKNOWN = '[unknown]';
/** Parts of a key that are kept beside its stacks. */
const OTHERS_MAX = 64;

/** `tcp_recvmsg+808`, `55d0c8f3 main+80 (/usr/bin/curl)`: the name alone. */
function frameName(text: string): string {
  const object = text.endsWith(')') ? text.lastIndexOf(' (') : -1;
  const name = (object < 0 ? text : text.slice(0, object)).replace(/^[0-9a-f]{8,16} /, '');
  const plus = name.lastIndexOf('+');
  if (plus > 0 && /^(?:0x[0-9a-f]+|\d+)$/.test(name.slice(plus + 1))) return name.slice(0, plus);
  return /^0x[0-9a-f]+$/.test(name) ? UNKNOWN : name;
}
