import { Argument, type Command } from 'commander';
import { unreachable } from '../../base/assert.ts';
import type { CliIo } from '../io.ts';

const SHELLS = ['bash', 'zsh', 'fish'] as const;

/** Adds `tephra completion`; what it writes is made from the commands of `program`. */
export function addCompletion(program: Command, io: CliIo): void {
  program
    .command('completion')
    .description('write a script that completes commands and options in a shell')
    .addArgument(new Argument('<SHELL>', 'which shell').choices(SHELLS))
    .addHelpText('after', EXAMPLES)
    .action(async (shell: (typeof SHELLS)[number]) => {
      io.out.write(await scriptOf(shell, program));
    });
}

async function scriptOf(shell: (typeof SHELLS)[number], program: Command): Promise<string> {
  const { completionSpec } = await import('./spec.ts');
  const spec = completionSpec(program);
  switch (shell) {
    case 'bash':
      return (await import('./bash.ts')).bashScript(spec);
    case 'zsh':
      return (await import('./zsh.ts')).zshScript(spec);
    case 'fish':
      return (await import('./fish.ts')).fishScript(spec);
    default:
      return unreachable(shell);
  }
}

const EXAMPLES = `
Put the line for your shell into ~/.bashrc, ~/.zshrc (after compinit) or ~/.config/fish/config.fish.

Examples:
  $ source <(tephra completion bash)
  $ tephra completion zsh > _tephra
  $ tephra completion fish > tephra.fish`;
