import type { CompletionCommand, Values } from './spec.ts';

/** A script for bash 4 and newer, to be read by `source <(tephra completion bash)`. */
export function bashScript(commands: readonly CompletionCommand[]): string {
  const keyOf = (path: readonly string[]): string => path.join(' ');
  const steps = commands
    .filter(({ path }) => path.length > 0)
    .map(
      ({ path }) => `      '${keyOf(path.slice(0, -1))}|${path.at(-1)}') at='${keyOf(path)}' ;;`,
    );
  const values = commands.flatMap(({ path, options }) =>
    options
      .filter((option) => option.values !== undefined)
      .map(
        (option) =>
          `    ${option.flags.map((flag) => `'${keyOf(path)}|${flag}'`).join('|')}) ${offer(option.values)}; return ;;`,
      ),
  );
  const words = commands.map(({ path, commands: subs, options, values: kind }) => {
    const all = [...subs.map(({ name }) => name), ...(Array.isArray(kind) ? kind : [])];
    const flags = options.flatMap((option) => option.flags);
    const files = kind === 'file' ? ' files=1' : '';
    return `    '${keyOf(path)}') words='${all.join(' ')}' flags='${flags.join(' ')}'${files} ;;`;
  });
  return `# bash completion of tephra: source <(tephra completion bash)
_tephra() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} at='' words='' flags='' files='' i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$at|\${COMP_WORDS[i]}" in
${steps.join('\n')}
    esac
  done
  case "$at|$prev" in
${values.join('\n')}
  esac
  case "$at" in
${words.join('\n')}
  esac
  if [[ $cur == -* ]]; then
    COMPREPLY=($(compgen -W "$flags" -- "$cur"))
  else
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
    if [[ -n $files ]]; then COMPREPLY+=($(compgen -f -- "$cur")); fi
  fi
}
complete -o filenames -F _tephra tephra tephradb
`;
}

function offer(values: Values | undefined): string {
  if (values === 'file') return 'COMPREPLY=($(compgen -f -- "$cur"))';
  if (values === 'directory') return 'COMPREPLY=($(compgen -d -- "$cur"))';
  if (values === 'other' || values === undefined) return ':';
  return `COMPREPLY=($(compgen -W '${values.join(' ')}' -- "$cur"))`;
}
