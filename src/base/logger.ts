import { pino, type Logger as PinoLogger } from 'pino';
import type { Clock } from './clock.ts';

/** Extra facts of a log line; values are plain data. */
export type LogFields = Readonly<Record<string, unknown>>;

/** A structured log: a short message in lower case, facts as fields. */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A log that adds `fields` to every line. */
  child(fields: LogFields): Logger;
}

/** Where log lines go; `process.stdout` is one. */
export interface LogSink {
  write(line: string): unknown;
}

/** How to log. */
export interface LoggerOptions {
  readonly level: 'silent' | 'error' | 'warn' | 'info' | 'debug';
  readonly sink: LogSink;
  readonly clock: Clock;
  /** Short lines for people instead of JSON. */
  readonly pretty?: boolean | undefined;
}

/** A logger that writes one JSON object a line: `level`, `time` (ISO), `msg` and the fields. */
export function createLogger(options: LoggerOptions): Logger {
  const sink = options.pretty === true ? prettySink(options.sink) : options.sink;
  const root = pino(
    {
      level: options.level,
      base: null,
      timestamp: () => `,"time":"${new Date(options.clock.nowMs()).toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: (line: string) => void sink.write(line) },
  );
  return wrap(root);
}

/** A logger that drops everything. */
export const silentLogger: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silentLogger,
};

function wrap(log: PinoLogger): Logger {
  return {
    debug: (message, fields) => log.debug(fields ?? {}, message),
    info: (message, fields) => log.info(fields ?? {}, message),
    warn: (message, fields) => log.warn(fields ?? {}, message),
    error: (message, fields) => log.error(fields ?? {}, message),
    child: (fields) => wrap(log.child(fields)),
  };
}

/** Turns JSON lines into `10:00:00 warn  message  key=value`. */
function prettySink(sink: LogSink): LogSink {
  return {
    write(line) {
      const { level, time, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
      const facts = Object.entries(fields).map(
        ([name, value]) => `  ${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
      );
      const clock = String(time).slice(11, 19);
      return sink.write(`${clock} ${String(level).padEnd(5)} ${String(msg)}${facts.join('')}\n`);
    },
  };
}
