import type { CompletionCommand, Values } from './spec.ts';

/** A script for zsh, to be read by `source <(tephra completion zsh)` or put on `$fpath` as `_tephra`. */
export function zshScript(commands: readonly CompletionCommand[]): string {
  const functions = commands.map(({ path, commands: subs, options, values }) => {
    const specs = options.map(({ flags, description, values: kind }) => {
      const text = `[${escaped(description)}]${action(kind, ':value:')}`;
      // Both spellings stand for one option.
      return flags.length === 1
        ? `    '*${flags[0]}${text}'`
        : `    '(${flags.join(' ')})'{${flags.join(',')}}'${text}'`;
    });
    if (subs.length > 0) {
      specs.push("    '1: :->command'", "    '*:: :->rest'");
    } else if (values !== undefined) {
      specs.push(`    '*${action(values, ':argument:')}'`);
    }
    const rows = subs.map(({ name, description }) => `        '${name}:${escaped(description)}'`);
    const state =
      subs.length === 0
        ? ''
        : `  case $state in
    command)
      local -a commands=(
${rows.join('\n')}
      )
      _describe command commands ;;
    rest)
      case $words[1] in
${subs.map(({ name }) => `        ${name}) ${nameOf([...path, name])} ;;`).join('\n')}
      esac ;;
  esac
`;
    return `${nameOf(path)}() {
  local state line
  typeset -A opt_args
  _arguments -C \\
${specs.join(' \\\n')}
${state}}`;
  });
  return `#compdef tephra tephradb
# zsh completion of tephra: source <(tephra completion zsh)
${functions.join('\n')}
if [ "$funcstack[1]" = "_tephra" ]; then _tephra "$@"; else compdef _tephra tephra tephradb; fi
`;
}

function nameOf(path: readonly string[]): string {
  return ['_tephra', ...path].join('_');
}

function action(values: Values | undefined, prefix: string): string {
  if (values === undefined) return '';
  if (values === 'file') return `${prefix}_files`;
  if (values === 'directory') return `${prefix}_files -/`;
  return values === 'other' ? `${prefix}( )` : `${prefix}(${values.join(' ')})`;
}

function escaped(text: string): string {
  return text.replaceAll(/[\\[\]:]/g, String.raw`\$&`).replaceAll("'", `'\\''`);
}
