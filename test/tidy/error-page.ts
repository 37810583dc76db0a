import type { ErrorRow } from '../../src/base/errors.ts';

/** One reason as docs/errors.md tells it. */
export interface ErrorEntry {
  readonly reason: string;
  readonly status: string;
  readonly http: number;
  readonly retry: boolean;
  readonly text: string;
}

/** The entries of the page, in its order. */
export function parseErrorPage(markdown: string): readonly ErrorEntry[] {
  return markdown
    .split(/^### /m)
    .slice(1)
    .map((section) => {
      const [reason = '', , facts = '', , ...rest] = section.split('\n');
      const found = /^gRPC `(\w+)`, HTTP (\d{3}), retry: (yes|no)$/.exec(facts);
      return {
        reason,
        status: found?.[1] ?? '',
        http: Number(found?.[2] ?? 0),
        retry: found?.[3] === 'yes',
        text: rest.join(' ').split('## ')[0]?.trim() ?? '',
      };
    });
}

/** Where the page and the table differ. */
export function errorPageComplaints(
  entries: readonly ErrorEntry[],
  table: Readonly<Record<string, ErrorRow>>,
): string[] {
  const complaints: string[] = [];
  for (const reason of Object.keys(table)) {
    const count = entries.filter((entry) => entry.reason === reason).length;
    if (count !== 1) complaints.push(`${reason} has ${count} headings`);
  }
  for (const entry of entries) {
    const row = table[entry.reason];
    if (row === undefined) {
      complaints.push(`${entry.reason} is not in the table`);
      continue;
    }
    if (entry.status !== row.status || entry.http !== row.http || entry.retry !== row.retry) {
      const retry = row.retry ? 'yes' : 'no';
      complaints.push(
        `${entry.reason} should say: gRPC \`${row.status}\`, HTTP ${row.http}, retry: ${retry}`,
      );
    }
    const means = row.means.charAt(0).toUpperCase() + row.means.slice(1);
    if (!entry.text.startsWith(`${means}. `) || entry.text.length < means.length + 10) {
      complaints.push(`${entry.reason} should begin "${means}." and then say what to do`);
    }
  }
  return complaints;
}
