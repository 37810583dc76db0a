import type { App } from '../app.ts';
import { systemClock, systemTimers } from '../base/clock.ts';
import { isErrorLike } from '../base/errors.ts';
import { systemFileSystem } from '../base/file-system.ts';
import { createLogger, type Logger } from '../base/logger.ts';
import { createMetrics } from '../base/metrics.ts';
import { systemRandom } from '../base/random.ts';
import { unknownVariables } from '../config/load.ts';
import { formatAddress } from '../config/values.ts';
import { configOf, startError } from './config-flags.ts';
import { EXIT, note, type CliIo } from './io.ts';
import { readMachine } from './machine.ts';
import { readPageFiles } from './page-files.ts';
import { packageVersion } from './version.ts';

/** Runs a server until a signal; resolves with the exit code. Throws `CliError`s where it cannot start. */
export async function serve(options: Record<string, unknown>, io: CliIo): Promise<number> {
  const { config } = configOf(options, io);
  const signals = catchSignals();
  const pretty = io.out.isTTY === true;
  const logger = createLogger({
    level: config.logLevel,
    sink: io.out,
    clock: systemClock,
    pretty,
  });
  for (const name of unknownVariables(io.environment)) {
    logger.warn('a variable begins with TEPHRA_ and means nothing', { name });
  }
  // Loaded last: what is wrong is told, and signals are caught, without the engine.
  const { startApp } = await import('../app.ts');
  const app = await startApp(config, {
    clock: systemClock,
    timers: systemTimers,
    random: systemRandom,
    fs: systemFileSystem,
    logger,
    metrics: createMetrics(),
    ownsProcess: true,
    version: packageVersion(),
    ...readMachine(),
    page: await readPageFiles(),
  }).catch((error: unknown) => {
    throw startError(error);
  });
  if (pretty) {
    note(io, `Tephra is ready: http://${formatAddress(app.address)}  data in ${app.dataDir}`);
    note(io, '  next: tephra push FILE, then tephra query top   stop: Ctrl-C');
  }
  return untilStopped(app, logger, signals);
}

/** Gives signals to the one who can stop the server. */
interface Signals {
  /** From now on; one that came before is given at once. */
  giveTo(stop: (signal: string) => void): void;
}

/**
 * Catches SIGTERM and SIGINT from before the start. One during the start waits for its end, a second
 * one then ends the process. The listeners stay: between two of them Node would lose a signal.
 */
function catchSignals(): Signals {
  let early: string | undefined;
  let receiver: ((signal: string) => void) | undefined;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (receiver !== undefined) receiver(signal);
      else if (early === undefined) early = signal;
      else process.exit(EXIT.failed);
    });
  }
  return {
    giveTo(stop) {
      receiver = stop;
      if (early !== undefined) stop(early);
    },
  };
}

/** Waits for a signal, or for a bug that nobody caught; resolves with the exit code. */
function untilStopped(
  app: Pick<App, 'stop' | 'reloadTls'>,
  logger: Logger,
  signals: Signals,
): Promise<number> {
  return new Promise((resolve) => {
    let stopping = false;
    const stop = (why: string, exitCode: number): void => {
      if (stopping) {
        logger.warn('stopping at once', { why });
        process.exit(EXIT.failed);
      }
      stopping = true;
      logger.info('stopping', { why });
      app.stop().then(
        () => {
          logger.info('stopped');
          resolve(exitCode);
        },
        (error: unknown) => {
          logger.error('did not stop cleanly', { detail: String(error) });
          resolve(EXIT.failed);
        },
      );
    };
    process.on('SIGHUP', () => {
      app.reloadTls().catch((error: unknown) => {
        logger.error('the certificate stays as it was', { detail: String(error) });
      });
    });
    const bug = (kind: string, error: unknown): void => {
      const stack = isErrorLike(error) && 'stack' in error ? error.stack : String(error);
      logger.error('a bug: nobody caught this', { kind, stack });
      if (!stopping) stop(kind, EXIT.failed);
    };
    process.on('unhandledRejection', (error) => bug('unhandledRejection', error));
    process.on('uncaughtException', (error) => bug('uncaughtException', error));
    signals.giveTo((signal) => stop(signal, EXIT.done));
  });
}
