import { Command, CommanderError } from 'commander';
import { TephraError } from '../base/errors.ts';
import { addCompletion } from './completion/command.ts';
import { addConfig } from './config-print.ts';
import { addDoctor } from './doctor/command.ts';
import { addInspect } from './inspect.ts';
import { CliError, EXIT, type CliIo } from './io.ts';
import { addPush } from './push.ts';
import { addQuery } from './query/command.ts';
import { addServe } from './serve.ts';
import { addStream } from './stream/command.ts';
import { addVerify } from './verify.ts';
import { addVersion, packageVersion } from './version.ts';

/** Runs one command line (without node and script); resolves with the exit code. Never rejects. */
export async function runCli(args: readonly string[], io: CliIo): Promise<number> {
  let exitCode: number = EXIT.done;
  const program = createProgram(io, (code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync([...args], { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) {
      // Help and version end the same way, with code 0; commander has written its own message.
      return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    }
    if (error instanceof CliError) {
      io.err.write(`tephra: ${error.message}\n`);
      return error.exitCode;
    }
    io.err.write(`tephra: ${TephraError.from(error).message}\n`);
    return EXIT.failed;
  }
}

/** The command line; `onExit` is told an exit code that is no error. */
function createProgram(io: CliIo, onExit: (exitCode: number) => void): Command {
  const program = new Command('tephra')
    .description(
      'A time-series profile database: agents stream stack samples in, Tephra answers merges and diffs.',
    )
    .version(packageVersion(), '-V, --version', 'only the number')
    .exitOverride()
    .showSuggestionAfterError()
    .showHelpAfterError('(add --help for what is possible)')
    .configureOutput({
      writeOut: (text) => void io.out.write(text),
      writeErr: (text) => void io.err.write(text),
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .addHelpText('after', EXAMPLES);
  addServe(program, io, onExit);
  addPush(program, io);
  addStream(program, io);
  addQuery(program, io);
  addConfig(program, io);
  addVerify(program, io, onExit);
  addInspect(program, io);
  addDoctor(program, io, onExit);
  addCompletion(program, io);
  addVersion(program, io);
  return inherit(program);
}

const EXAMPLES = `
Examples:
  $ tephra serve                          # then, in another terminal:
  $ tephra push cpu.pb.gz --service shop
  $ tephra query top --service shop

Exit codes: 0 done, 1 could not be done, 2 asked for wrongly, 3 verify found damage or loss,
4 doctor found what keeps a server from serving.`;

/** Subcommands end by an exception too, write where their parent does, and answer errors the same way. */
function inherit(command: Command): Command {
  for (const sub of command.commands) inherit(sub.copyInheritedSettings(command));
  return command;
}
