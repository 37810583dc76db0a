/** A stack that a tool has printed. */
export interface PrintedStack {
  /** Names of its frames, the root first; at least one, and `stackDepthKept` and a few at most. */
  readonly frames: readonly string[];
  /** How often it was seen; whole, not negative, below 2^53. */
  readonly count: number;
  /** CPU time of it in ns where the tool tells, whole and below 2^53. */
  readonly nanos?: number | undefined;
}

/** Takes what a {@link StackReader} finds. */
export interface StackSink {
  stack(stack: PrintedStack): void;
  /** The present line is not understood, or something of it is left out: why, for people. */
  trouble(why: string): void;
}

/** Reads the text of a tool, line by line. Never throws for what the text says. */
export interface StackReader {
  /** Takes a line, without its end. */
  line(text: string): void;
  /** The input has ended. */
  end(): void;
}

/** Messages show no more of a line, in characters. */
const SHOWN = 60;

/** The beginning of a line, for a message. */
export function shownLine(text: string): string {
  return JSON.stringify(text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text);
}

/** The number that `digits` say; undefined if they are none, or 2^53 or more. */
export function wholeNumber(digits: string): number | undefined {
  if (!/^\d{1,16}$/.test(digits)) return undefined;
  const value = Number(digits);
  return Number.isSafeInteger(value) ? value : undefined;
}
