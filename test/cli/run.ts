import { Readable } from 'node:stream';
import { systemTimers } from '../../src/base/clock.ts';
import { runCli } from '../../src/cli/program.ts';

/** The time in these tests. */
export const NOW = Date.parse('2026-08-01T12:00:00Z');

/** What a command line did. */
export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  readonly bytes: Buffer;
}

/** Surroundings of a command line. */
export interface Around {
  readonly environment?: Readonly<Record<string, string>>;
  readonly input?: string;
  /** A terminal of so many columns. */
  readonly columns?: number;
  readonly nowMs?: number;
}

/** Runs the command line in this process. */
export async function runIn(around: Around, ...args: string[]): Promise<Ran> {
  const out: Buffer[] = [];
  let err = '';
  const terminal = around.columns === undefined ? {} : { isTTY: true, columns: around.columns };
  const code = await runCli(args, {
    out: { write: (text) => out.push(Buffer.from(text as string)), ...terminal },
    err: { write: (text) => (err += String(text)), ...terminal },
    input: () => Promise.resolve(Buffer.from(around.input ?? '')),
    inputStream: () => Readable.from([Buffer.from(around.input ?? '')]),
    environment: around.environment ?? {},
    clock: { nowMs: () => around.nowMs ?? NOW, monotonicMs: () => performance.now() },
    timers: systemTimers,
  });
  const bytes = Buffer.concat(out);
  return { code, out: bytes.toString(), err, bytes };
}
