import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { ERRORS, type ErrorRow } from '../../src/base/errors.ts';
import { errorPageComplaints, parseErrorPage } from './error-page.ts';

const TABLE: Record<string, ErrorRow> = {
  not_found: { status: 'not_found', http: 404, retry: false, means: 'there is no such thing' },
};

const PAGE = `# Errors

## Queries

### not_found

gRPC \`not_found\`, HTTP 404, retry: no

There is no such thing. Check the id or
the path.

## Starting
`;

const complaints = (page: string) => errorPageComplaints(parseErrorPage(page), TABLE);

describe('docs/errors.md', () => {
  test('an entry that agrees with the table is fine', () => {
    expect(complaints(PAGE)).toEqual([]);
  });

  test.each([
    ['a missing heading', PAGE.replace('### not_found', '')],
    ['a heading that no row has', `${PAGE}\n### unheard_of\n`],
    ['another status', PAGE.replace('gRPC `not_found`', 'gRPC `internal`')],
    ['another HTTP status', PAGE.replace('404', '410')],
    ['another word on retries', PAGE.replace('retry: no', 'retry: yes')],
    ['another meaning', PAGE.replace('There is', 'There was')],
    ['no advice', PAGE.replace(' Check the id or\nthe path.', '')],
  ])('%s is told', (_what, page) => {
    expect(complaints(page)).toHaveLength(1);
  });

  test('every reason of the table has its entry, and no entry is without a reason', () => {
    expect(Object.keys(ERRORS).length).toBeGreaterThan(10);
    const page = readFileSync('docs/errors.md', 'utf8');
    expect(errorPageComplaints(parseErrorPage(page), ERRORS)).toEqual([]);
  });
});
