import type { CompletionCommand } from './spec.ts';

/** A script for fish, to be read by `tephra completion fish | source`. */
export function fishScript(commands: readonly CompletionCommand[]): string {
  const paths = commands.filter(({ path }) => path.length > 0).map(({ path }) => path.join(' '));
  const lines = commands.flatMap(({ path, commands: subs, options, values }) => {
    const begin = `complete -c tephra -n '__tephra_at "${path.join(' ')}"'`;
    return [
      ...subs.map(({ name, description }) => `${begin} -f -a ${name} -d ${quoted(description)}`),
      ...options.map(({ flags, description, values: kind }) => {
        const names = flags.map((flag) =>
          flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`,
        );
        const value =
          kind === undefined
            ? ''
            : kind === 'file'
              ? ' -r -F'
              : kind === 'directory'
                ? " -x -a '(__fish_complete_directories)'"
                : ` -x${kind === 'other' ? '' : ` -a ${quoted(kind.join(' '))}`}`;
        return `${begin} ${names.join(' ')}${value} -d ${quoted(description)}`;
      }),
      ...(values === 'file' ? [`${begin} -F`] : []),
      ...(Array.isArray(values) ? [`${begin} -f -a ${quoted(values.join(' '))}`] : []),
    ];
  });
  return `# fish completion of tephra: tephra completion fish | source
function __tephra_at
  set -l at
  for word in (commandline -opc)[2..-1]
    set -l next (string trim -- "$at $word")
    contains -- $next ${paths.map(quoted).join(' ')}; and set at $next
  end
  test "$at" = "$argv[1]"
end
complete -c tephra -f
complete -c tephradb -w tephra
${lines.join('\n')}
`;
}

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", String.raw`\'`)}'`;
}
