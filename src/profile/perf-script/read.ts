import { FrameList } from '../stack-lines/frame-list.ts';
import { shownLine, wholeNumber, type StackReader, type StackSink } from '../stack-lines/sample.ts';

/**
 * Command, pid, period, event and what is behind it. Fields that `-F` leaves out are missing, and a command
 * may have spaces and numbers: the pattern that wants most is tried first.
 */
const HEADERS = [
  /^(\S.*?)\s+-?\d+(?:\/-?\d+)?\s+(?:\[\d+\]\s+(?:\S*[^\d\s:.]\S*\s+)?)?\d+\.\d+:\s*(?:(\d+)\s+)?(\S+):(?:\s+(.*))?$/,
  /^(\S.*?)\s+-?\d+(?:\/-?\d+)?\s+(?:\[\d+\]\s+)?(?:(\d+)\s+)?(\S+):(?:\s+(.*))?$/,
  /^(\S.*?)\s+-?\d+(?:\/-?\d+)?(?:\s+\[\d+\])?(?:\s+\d+\.\d+:)?$/,
];
/** A frame: address, symbol with its offset, object. */
const FRAME = /^[0-9a-f]+\s+(.*)$/;
const OFFSET = /\+0x[0-9a-f]+$/;
/** Events whose period is nanoseconds of CPU time. */
const CLOCKS = new Set(['cpu-clock', 'task-clock']);
const UNKNOWN = '[unknown]';

/** A header is shorter than this, in characters, as far as it is looked at. */
const HEADER_MAX = 1_024;
/** Other events that are told. */
const OTHERS_MAX = 8;

/** The sample whose frames come now. */
interface Open {
  readonly command: string;
  readonly nanos: number | undefined;
  /** Without an event in it the header may be none: only frames show that. */
  readonly isSure: boolean;
  readonly header: string;
}

/**
 * What `perf script` prints: a line for each sample, its frames below, leaf first, and an empty line; or
 * the frame on the same line where no stacks were recorded. The command becomes the root, as in
 * stackcollapse-perf. Samples of other events than `event` are left out and told; '' = the first there is.
 */
export class PerfScriptLines implements StackReader {
  readonly #sink: StackSink;
  #event: string;
  readonly #otherEvents = new Set<string>();
  #open: Open | undefined;
  readonly #frames = new FrameList();
  /** Frames below a line that was not understood, or of another event, are passed over. */
  #isSkipping = false;

  constructor(sink: StackSink, event = '') {
    this.#sink = sink;
    this.#event = event;
  }

  line(text: string): void {
    const line = text.trim();
    if (line === '') {
      this.#finish();
      this.#isSkipping = false;
    } else if (/^\s/.test(text) && (this.#open !== undefined || this.#isSkipping)) {
      this.#frameLine(line);
    } else if (!line.startsWith('#')) {
      this.#finish();
      this.#header(line);
    }
  }

  end(): void {
    this.#finish();
  }

  #header(text: string): void {
    const header = text.slice(0, HEADER_MAX);
    const [, command, period = '', event, rest = ''] = matchFirst(HEADERS, header);
    this.#isSkipping = true;
    if (command === undefined) {
      this.#sink.trouble(`expected "command pid time: event:", found ${shownLine(text)}`);
      return;
    }
    const name = event === undefined ? '' : eventName(event);
    if (this.#event === '') this.#event = name;
    if (name !== '' && name !== this.#event) {
      if (!this.#otherEvents.has(name) && this.#otherEvents.size < OTHERS_MAX) {
        this.#otherEvents.add(name);
        this.#sink.trouble(`only samples of ${this.#event} are taken, not those of ${name}`);
      }
      // On one line with its frame it has no others.
      this.#isSkipping = !FRAME.test(rest);
      return;
    }
    const nanos = CLOCKS.has(name) ? wholeNumber(period) : undefined;
    this.#isSkipping = false;
    this.#open = { command, nanos, isSure: event !== undefined, header };
    // Without stacks the only frame is here; a tracepoint has its fields here.
    if (FRAME.test(rest)) {
      this.#frameLine(rest);
      this.#finish();
    }
  }

  #frameLine(text: string): void {
    if (this.#isSkipping) return;
    const what = FRAME.exec(text)?.[1];
    // A line of source (`-F +srcline`) stands below its frame.
    if (what !== undefined) this.#frames.push(frameName(what.trim()));
    else if (!/:\d+$/.test(text)) {
      this.#sink.trouble(`expected a frame, found ${shownLine(text)}`);
    }
  }

  #finish(): void {
    const open = this.#open;
    this.#open = undefined;
    if (open === undefined) return;
    if (!open.isSure && this.#frames.length === 0) {
      this.#sink.trouble(`expected "command pid time: event:", found ${shownLine(open.header)}`);
      return;
    }
    this.#sink.stack({ frames: this.#frames.take([open.command]), count: 1, nanos: open.nanos });
  }
}

function matchFirst(patterns: readonly RegExp[], text: string): readonly string[] {
  for (const pattern of patterns) {
    const match = pattern.exec(text);
    if (match !== null) return match;
  }
  return [];
}

/** `cpu_core/cycles/P` and `cycles:ppp` are both cycles. */
function eventName(event: string): string {
  return event.replace(/^cpu(?:_\w+)?\/([^/]+)\/.*$/, '$1').replace(/:[a-zA-Z]*$/, '');
}

/** The symbol without its offset; without a symbol the object, `[libc.so.6]`. */
function frameName(text: string): string {
  const plain = text.endsWith(' (deleted))') ? `${text.slice(0, -' (deleted))'.length)})` : text;
  const open = plain.endsWith(')') ? plain.lastIndexOf(' (') : -1;
  const symbol = (open < 0 ? plain : plain.slice(0, open)).trim().replace(OFFSET, '');
  if (symbol !== UNKNOWN && symbol !== '') return symbol;
  const object = open < 0 ? '' : plain.slice(open + 2, -1);
  const file = object.slice(object.lastIndexOf('/') + 1).replaceAll(/^\[|\]$/g, '');
  return file === '' ? UNKNOWN : `[${file}]`;
}
