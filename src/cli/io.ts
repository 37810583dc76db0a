import type { Readable } from 'node:stream';
import type { Clock, Timers } from '../base/clock.ts';

/** Where a command writes text. */
export interface TextSink {
  write(text: string | Uint8Array): unknown;
  /** Whether a person looks at it. */
  readonly isTTY?: boolean | undefined;
  /** Characters in a line of a terminal. */
  readonly columns?: number | undefined;
}

/** What a command has of its surroundings, so that tests can run commands inside themselves. */
export interface CliIo {
  /** Results: what a pipe wants. */
  readonly out: TextSink;
  /** Everything else: notes, progress, errors. */
  readonly err: TextSink;
  /** All of standard input. */
  readonly input: () => Promise<Uint8Array>;
  /** The same as it comes: pieces of bytes. */
  readonly inputStream: () => Readable;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  /** For progress; what waits for nothing else must not be kept by it. */
  readonly timers: Timers;
}

/**
 * Exit codes: done; could not be done; asked for wrongly; `verify` found damage or loss; `doctor`
 * found what keeps a server from serving. docs/cli.md has the same list.
 */
export const EXIT = { done: 0, failed: 1, usage: 2, damaged: 3, unwell: 4 } as const;

/** Ends a command with a message for people and an exit code. */
export class CliError extends Error {
  override readonly name = 'CliError';
  readonly exitCode: number;

  constructor(message: string, exitCode: number = EXIT.failed) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** Writes a line to `err`. */
export function note(io: CliIo, line: string): void {
  io.err.write(`${line}\n`);
}

/** Whether `sink` takes colours (https://no-color.org). */
export function takesColor(io: CliIo, sink: TextSink): boolean {
  return sink.isTTY === true && (io.environment['NO_COLOR'] ?? '') === '';
}
