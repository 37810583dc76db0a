import type { Command } from 'commander';

/** What a shell may offer where a value is wanted. */
export type Values = 'file' | 'directory' | 'other' | readonly string[];

/** An option of a command. */
export interface CompletionOption {
  /** `--out`, `-o`. */
  readonly flags: readonly string[];
  readonly description: string;
  /** undefined = a switch. */
  readonly values: Values | undefined;
}

/** A command with its place. */
export interface CompletionCommand {
  /** `['query', 'diff']`; empty for the program itself. */
  readonly path: readonly string[];
  readonly commands: readonly { readonly name: string; readonly description: string }[];
  readonly options: readonly CompletionOption[];
  /** What its arguments are. */
  readonly values: Values | undefined;
}

/** All commands of a program, what shells complete; made from the commands themselves. */
export function completionSpec(program: Command): CompletionCommand[] {
  const found: CompletionCommand[] = [];
  const visit = (command: Command, path: readonly string[]): void => {
    const argument = command.registeredArguments[0];
    found.push({
      path,
      commands: command.commands.map((sub) => ({
        name: sub.name(),
        description: firstLine(sub.description()),
      })),
      options: [
        ...command.options
          .filter(({ hidden }) => !hidden)
          .map((option) => ({
            flags: [option.short, option.long].filter((flag) => flag !== undefined),
            description: firstLine(option.description),
            values:
              option.required || option.optional
                ? (option.argChoices ?? placeholder(option.flags))
                : undefined,
          })),
        { flags: ['-h', '--help'], description: 'what is possible', values: undefined },
      ],
      values:
        argument === undefined
          ? undefined
          : (argument.argChoices ?? placeholder(`<${argument.name()}>`)),
    });
    for (const sub of command.commands) visit(sub, [...path, sub.name()]);
  };
  visit(program, []);
  return found;
}

function placeholder(flags: string): Values {
  if (/<(?:FILE|SIDE|BLOB)/.test(flags)) return 'file';
  return /<DIR/.test(flags) ? 'directory' : 'other';
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? '';
}
