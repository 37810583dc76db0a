import { posix } from 'node:path';
import type { SourceFile } from './source-file.ts';
import { lineAt } from './source-file.ts';

const FENCE = /^(```|~~~)[^\n]*\n[\s\S]*?^\1[^\n]*$/gm;
const LINK = /\[[^\]]*\]\(([^)\s]+)\)/g;
const HEADING = /^#{1,6} (.+)$/gm;
/** Addresses that are somebody else's. */
const FOREIGN = /^(?:https?:|mailto:)/;

/** Anchors of the headings of a Markdown text, as GitHub makes them. */
export function anchorsOf(text: string): Set<string> {
  const seen = new Map<string, number>();
  const anchors = new Set<string>();
  for (const [, heading = ''] of withoutCode(text).matchAll(HEADING)) {
    const slug = heading
      .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .trim()
      .replaceAll(' ', '-');
    const times = seen.get(slug) ?? 0;
    seen.set(slug, times + 1);
    anchors.add(times === 0 ? slug : `${slug}-${times}`);
  }
  return anchors;
}

/** Links of a page to what is not there; `pages` are all Markdown files, `exists` says of any path. */
export function linkComplaints(
  page: SourceFile,
  pages: ReadonlyMap<string, string>,
  exists: (path: string) => boolean,
): string[] {
  const text = withoutCode(page.text);
  const complaints: string[] = [];
  for (const { 1: target = '', index } of text.matchAll(LINK)) {
    if (FOREIGN.test(target)) continue;
    const [path = '', anchor] = target.split('#');
    const file = path === '' ? page.path : posix.join(posix.dirname(page.path), path);
    const where = `${page.path}:${lineAt(text, index)}`;
    if (!exists(file)) complaints.push(`${where}: ${target} is not there`);
    else if (anchor !== undefined && !anchorsOf(pages.get(file) ?? '').has(anchor)) {
      complaints.push(`${where}: ${target} has no such heading`);
    }
  }
  return complaints;
}

/** The text with code blanked, lines kept. */
function withoutCode(text: string): string {
  return text
    .replaceAll(FENCE, (block) => block.replaceAll(/[^\n]/g, ' '))
    .replaceAll(/`[^`\n]+`/g, (code) => (code.includes('](') ? ' '.repeat(code.length) : code));
}
