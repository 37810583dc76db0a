import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';

/** A file of the repository: its path from the root with forward slashes, and its text. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

/** Paths that git tracks or would track, below `folder`, sorted. Generated code is left out. */
export function listFiles(folder: string): readonly string[] {
  const output = execFileSync(
    'git',
    ['ls-files', '--cached', '--others', '--exclude-standard', '--', folder],
    { encoding: 'utf8' },
  );
  return output
    .split('\n')
    .filter((path) => path !== '' && !path.startsWith('src/gen/') && existsSync(path))
    .sort();
}

/** The TypeScript files below `folder`, with their text. */
export function readSources(folder: string): readonly SourceFile[] {
  return listFiles(folder)
    .filter((path) => path.endsWith('.ts'))
    .map((path) => ({ path, text: readFileSync(path, 'utf8') }));
}

/**
 * The text with comments and the insides of string literals blanked, line by line as long as before,
 * so that rules about code do not trip over prose. Templates with something to fill in and regular
 * expressions stay: a rule that could match in one has to live with it.
 */
export function withoutProse(text: string): string {
  return text.replace(
    /\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:\\.|\$\{(?:[^{}`]|`[^`]*`|\{[^{}]*\})*\}|[^`\\])*`/g,
    (match) => {
      if (match.startsWith('`') && match.includes('${')) return match;
      return match.replace(/[^\n]/g, ' ');
    },
  );
}

/** The line number, from 1, of an offset. */
export function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length;
}
