import type { Readable } from 'node:stream';
import { TephraError } from '../../base/errors.ts';
import {
  connect,
  TephraClientError,
  type SampleStream,
  type StreamLog,
} from '../../client/index.ts';
import { BpftraceLines } from '../../profile/bpftrace/read.ts';
import { textProfileType, type TextProfileType } from '../../profile/ingest-naming.ts';
import { isLabelName } from '../../profile/labels.ts';
import { PerfScriptLines } from '../../profile/perf-script/read.ts';
import { FoldedLines } from '../../profile/stack-lines/folded.ts';
import { LineSplitter } from '../../profile/stack-lines/line-splitter.ts';
import type { StackReader, StackSink } from '../../profile/stack-lines/sample.ts';
import { serverOf } from '../connection.ts';
import { counted } from '../counted.ts';
import { CliError, EXIT, note, type CliIo } from '../io.ts';
import { printable } from '../printable.ts';
import { packageVersion } from '../version.ts';
import { Collector } from './collector.ts';
import type { StreamFlags, StreamFormat } from './command.ts';

/** Samples a second where nobody says: of py-spy, perf, and most bpftrace scripts. */
const RATES: Readonly<Record<StreamFormat, number>> = {
  folded: 100,
  'perf-script': 4_000,
  bpftrace: 99,
};
/** Memory for what is not stored yet; input waits while half of it is full and the server is there. */
const BUFFER_BYTES = 2 * 1024 * 1024;
/** A server that was never there is waited for so long before samples are dropped. */
const FIRST_WAIT_MS = 10_000;
const LOOK_MS = 100;
/** After a signal the tool before us still prints: bpftrace everything. */
const GRACE_MS = 5_000;
const CLOSE_MS = 10_000;
/** The same for a server that was never there. */
const CLOSE_NOWHERE_MS = 3_000;
/** Troubles that are shown. */
const SHOWN_MAX = 3;

/** `tephra stream`: standard input to a stream. Throws `CliError`s. */
export async function stream(flags: StreamFlags, io: CliIo): Promise<void> {
  const rate = flags.rate === undefined ? RATES[flags.format] : rateOf(flags.rate);
  const type = typeOf(flags.type, rate);
  const labels = labelsOf(flags);
  const intervalMs = intervalOf(flags.interval);
  const client = connect(serverOf(flags, io));
  const sent = openStream(() =>
    client.stream({
      labels,
      agent: `tephra stream ${packageVersion()}`,
      bufferBytes: BUFFER_BYTES,
      log: logOf(io),
    }),
  );
  try {
    const input = new Input(sent, type, flags, io);
    await input.run(io.inputStream(), intervalMs);
    await sent.close(sent.stats.connections > 0 ? CLOSE_MS : CLOSE_NOWHERE_MS);
    tell(input, sent, flags, io);
  } finally {
    await sent.close(0);
    client.close();
  }
}

/** Standard input on its way into the stream. */
class Input {
  readonly collector: Collector;
  lines = 0;
  troubles = 0;
  firstTroubles: string[] = [];
  readonly #stream: SampleStream;
  readonly #io: CliIo;
  readonly #reader: StackReader;
  readonly #splitter: LineSplitter;

  constructor(sent: SampleStream, type: TextProfileType, flags: StreamFlags, io: CliIo) {
    this.#stream = sent;
    this.#io = io;
    this.collector = new Collector(sent, type);
    this.#reader = readerOf(flags, {
      stack: (stack) => {
        if (!this.collector.add(stack, io.clock.nowMs())) this.#trouble('the value is too large');
      },
      trouble: (why) => this.#trouble(why),
    });
    this.#splitter = new LineSplitter({
      line: (text) => {
        this.lines++;
        this.#reader.line(text);
      },
      long: (bytes) => {
        this.lines++;
        this.#trouble(`a line of ${bytes} bytes`);
      },
    });
  }

  /** Reads until the end, or until signals say that it is enough. */
  async run(input: Readable, intervalMs: number): Promise<void> {
    const { clock, timers } = this.#io;
    let cancel = (): void => {};
    const tick = (): void => {
      this.collector.flush(clock.nowMs());
      cancel = timers.after(intervalMs, tick);
    };
    cancel = timers.after(intervalMs, tick);
    const release = onSignals(this.#io, () => input.destroy());
    const startMs = clock.monotonicMs();
    try {
      for await (const piece of input) {
        this.#splitter.add(piece as Uint8Array);
        await this.#relieve(startMs);
      }
    } catch (error) {
      const { message } = TephraError.from(error);
      if (!input.destroyed) throw new CliError(`standard input: ${message}`);
    } finally {
      cancel();
      release();
    }
    this.#splitter.end();
    this.#reader.end();
    this.collector.flush(clock.nowMs());
  }

  /** Waits while much is not stored yet and there is hope that it will be. */
  async #relieve(startMs: number): Promise<void> {
    const isHopeful = (): boolean =>
      this.#stream.stats.isConnected || this.#io.clock.monotonicMs() - startMs < FIRST_WAIT_MS;
    while (this.#isMuch() && isHopeful()) await this.#stream.flush(LOOK_MS);
  }

  /** Tables can be given up only when nothing that is not stored needs them. */
  #isMuch(): boolean {
    const { bufferedBytes, bufferedBatches } = this.#stream.stats;
    return bufferedBytes > BUFFER_BYTES / 2 || (this.#stream.tables.full && bufferedBatches > 1);
  }

  #trouble(why: string): void {
    this.troubles++;
    if (this.firstTroubles.length < SHOWN_MAX) {
      this.firstTroubles.push(`line ${this.lines}: ${why}`);
    }
  }
}

/** The first signal gives the input some time to end, the second ends it, the third everything. */
function onSignals(io: CliIo, end: () => void): () => void {
  let count = 0;
  let cancel = (): void => {};
  const receive = (): void => {
    count++;
    if (count === 1) cancel = io.timers.after(GRACE_MS, end);
    else if (count === 2) end();
    else process.exit(EXIT.failed);
  };
  const signals = ['SIGINT', 'SIGTERM'] as const;
  for (const signal of signals) process.on(signal, receive);
  return () => {
    cancel();
    for (const signal of signals) process.off(signal, receive);
  };
}

function readerOf({ format, event }: StreamFlags, sink: StackSink): StackReader {
  if (format === 'perf-script') return new PerfScriptLines(sink, event);
  return format === 'bpftrace' ? new BpftraceLines(sink) : new FoldedLines(sink);
}

/** Says what became of it. Throws where not all of it is stored. */
function tell(input: Input, sent: SampleStream, flags: StreamFlags, io: CliIo): void {
  const { collector, lines, troubles, firstTroubles } = input;
  if (troubles > 0) {
    note(io, `${counted(troubles, 'line was', 'lines were')} not understood:`);
    for (const why of firstTroubles) note(io, `  ${printable(why)}`);
  }
  if (collector.entries === 0) {
    if (troubles > 0) {
      const found = counted(lines, 'line: is it', 'lines: are they');
      throw new CliError(`no stacks in ${found} ${flags.format}? See --format`);
    }
    note(io, 'no stacks came');
    return;
  }
  const { settledEntries, refusedEntries, connections } = sent.stats;
  const { entries, samples } = collector;
  if (settledEntries > 0) {
    const stored = `${counted(samples, 'sample')} in ${counted(settledEntries, 'entry', 'entries')}`;
    note(io, `stored ${stored} of ${flags.service}`);
    note(io, `query: tephra query top --service ${flags.service}`);
  }
  const lost = entries - settledEntries - refusedEntries;
  const all = counted(entries, 'entry', 'entries');
  if (refusedEntries > 0) note(io, `the server refused ${refusedEntries} of ${all}`);
  if (lost > 0 && connections === 0) {
    throw new CliError(
      `no server took the stream at ${serverOf(flags, io).url}: ` +
        `${counted(lost, 'entry is', 'entries are')} lost`,
    );
  }
  if (lost > 0) {
    throw new CliError(`${lost} of ${all} were dropped or not acknowledged`);
  }
  if (refusedEntries > 0) throw new CliError('not everything is stored');
}

function logOf(io: CliIo): StreamLog {
  const say = (message: string, fields: Readonly<Record<string, unknown>> = {}): void => {
    const facts = Object.entries(fields).map(([name, value]) => `${name} ${String(value)}`);
    note(io, printable(`tephra: ${message}; ${facts.join(', ')}`));
  };
  return { info: say, warn: say };
}

function openStream(open: () => SampleStream): SampleStream {
  try {
    return open();
  } catch (error) {
    if (error instanceof TephraClientError) throw new CliError(error.message, EXIT.usage);
    throw error;
  }
}

function labelsOf(flags: StreamFlags): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const label of flags.label) {
    const equals = label.indexOf('=');
    const name = label.slice(0, Math.max(equals, 0));
    if (!isLabelName(name) || name === '__name__') {
      const found = JSON.stringify(label);
      throw new CliError(`--label: expected name=value, found ${found}`, EXIT.usage);
    }
    labels[name] = label.slice(equals + 1);
  }
  return { ...labels, service_name: flags.service };
}

function typeOf(type: string, rateHz: number): TextProfileType {
  try {
    return textProfileType(`stream.${type}`, rateHz);
  } catch (error) {
    throw new CliError(`--type: ${TephraError.from(error).detail}`, EXIT.usage);
  }
}

function rateOf(text: string): number {
  const rate = Number(text);
  if (text.trim() !== '' && rate > 0 && rate <= 1e9) return rate;
  throw new CliError(`--rate: expected a number of Hz, found ${JSON.stringify(text)}`, EXIT.usage);
}

function intervalOf(text: string): number {
  const [, digits = '', unit] = /^(\d{1,6})(ms|s|m)$/.exec(text) ?? [];
  const ms = Number(digits) * (unit === 'ms' ? 1 : unit === 's' ? 1_000 : 60_000);
  if (unit !== undefined && ms >= INTERVAL_MIN_MS && ms <= INTERVAL_MAX_MS) return ms;
  throw new CliError(
    `--interval: expected 100ms to 10m, for example 10s, found ${JSON.stringify(text)}`,
    EXIT.usage,
  );
}

const INTERVAL_MIN_MS = 100;
const INTERVAL_MAX_MS = 600_000;
