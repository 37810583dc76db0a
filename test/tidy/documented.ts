import type { SourceFile } from './source-file.ts';

const EXPORT =
  /^export (?:abstract |async |declare )*(?:function\*?|class|interface|type|const|let) (\w+)/;

/**
 * Exports without a doc comment directly above. An overload, or a const and a type of one name,
 * shares the comment of the first; so does a run of constants of one line each.
 */
export function undocumentedExports(file: SourceFile): string[] {
  const complaints: string[] = [];
  const lines = file.text.split('\n');
  let documented = '';
  let inRun = false;
  for (const [index, line] of lines.entries()) {
    const isConstant = /^export const .*;$/.test(line);
    const name = EXPORT.exec(line)?.[1];
    const hasComment = (lines[index - 1] ?? '').trimEnd().endsWith('*/');
    inRun = isConstant && (hasComment || inRun);
    if (name === undefined || name === documented || inRun) continue;
    if (hasComment) documented = name;
    else complaints.push(`${file.path}:${index + 1}: export ${name} has no doc comment`);
  }
  return complaints;
}

/** Folders directly below src/ with code but no README.md; deeper ones share it. */
export function foldersWithoutReadme(paths: readonly string[]): string[] {
  const folders = new Set<string>();
  for (const path of paths) {
    const parts = path.split('/');
    if (!path.endsWith('.ts') || parts.length < 3) continue;
    folders.add(parts.slice(0, 2).join('/'));
  }
  return [...folders].filter((folder) => !paths.includes(`${folder}/README.md`)).sort();
}
