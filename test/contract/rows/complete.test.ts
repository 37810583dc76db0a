/** Every row of the catalogue of bad inputs that concerns the port has a test: here, or in a file that is named. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { MESSAGE_ROWS } from './message-rows.ts';
import { PROFILE_ROWS } from './profile-rows.ts';
import { QUERY_ROWS } from './query-rows.ts';

const STATUS = 'test/contract/status.test.ts';
const CATALOGUE = 'test/contract/catalogue.test.ts';
const HTTP = 'test/contract/rows/http.test.ts';

/** Rows that are no entry of a table: the file, and what the test's name begins with. */
const ELSEWHERE: Readonly<Record<number, readonly (readonly [file: string, text: string])[]>> = {
  81: [[CATALOGUE, "describe('81 ranges on every method'"]],
  88: [[CATALOGUE, "test('88 a query that needs more memory"]],
  89: [[CATALOGUE, "test('89 a query too many"]],
  90: [
    ['test/shards/cancel.test.ts', "describe('a merge that nobody waits for'"],
    ['test/contract/rows/leaving.test.ts', "'row 90: by %s'"],
  ],
  91: [[CATALOGUE, "test('91 a damaged block"]],
  93: [[STATUS, "'93 a length and chunks'"]],
  94: [[HTTP, "'row 94: 20 KB of header'"]],
  95: [[HTTP, "test('row 95: 2,500 headers'"]],
  96: [
    [HTTP, "'row 96: a parent directory'"],
    [STATUS, "'96 backslashes'"],
  ],
  97: [
    [HTTP, "test('row 97: a method that is not allowed"],
    [STATUS, "'97 a method that HTTP does not have'"],
  ],
  98: [[HTTP, "'row 98: content type %j'"]],
  99: [[HTTP, "describe('rows 99 and 106: a message over the limit'"]],
  100: [[STATUS, "test('100 headers and bodies that do not come, 111 a silent socket'"]],
  101: [[HTTP, "test('row 101: a scalar twice'"]],
  102: [[HTTP, "describe('row 102: JSON'"]],
  103: [[STATUS, "test('103 pages of other origins"]],
  104: [[HTTP, "'row 104: a range'"]],
  105: [[HTTP, "'row 105: a header named __proto__'"]],
  106: [[HTTP, "describe('rows 99 and 106: a message over the limit'"]],
  107: [[CATALOGUE, "'107 one-byte DATA frames by %s are refused'"]],
  108: [[CATALOGUE, "test('108 of 10,000 streams 100 are open"]],
  109: [[CATALOGUE, "test('109 rapid resets"]],
  110: [[CATALOGUE, "'110 a flood of %s'"]],
  111: [[STATUS, "test('100 headers and bodies that do not come, 111 a silent socket'"]],
  112: [[STATUS, "test('112 random bytes are refused'"]],
  113: [[HTTP, "'row 113: an unknown method and service by %s'"]],
  114: [[CATALOGUE, "test('114 two messages on a call with one'"]],
  115: [[CATALOGUE, "'115 a body by %s that stops coming'"]],
  117: [[HTTP, "'row 117: strange deadlines by %s'"]],
  118: [[HTTP, "'row 118: 110 headers by %s'"]],
  119: [[CATALOGUE, "describe('119 a client that leaves in the middle of its batch'"]],
};

/** Labels (52-64) and times (65-70) are tried where they are decided: test/profile/labels, test/ingest. */
const WANTED = [...numbers(1, 51), ...numbers(71, 112)];

function numbers(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}

test('every row has a test', () => {
  const told = new Set([
    ...[...PROFILE_ROWS, ...MESSAGE_ROWS, ...QUERY_ROWS].map(({ row }) => row),
    ...Object.keys(ELSEWHERE).map(Number),
  ]);
  expect(WANTED.filter((row) => !told.has(row))).toEqual([]);
});

test.each(
  Object.entries(ELSEWHERE).flatMap(([row, places]) =>
    places.map(([file, text]) => [Number(row), file, text] as const),
  ),
)('row %i is in %s as %s', (_, file, text) => {
  const source = readFileSync(join(import.meta.dirname, '../../..', file), 'utf8');
  expect(source).toContain(text);
});

test('what is stored although the catalogue refuses it, and the other way round, says why', () => {
  // Rows of the catalogue that are refused there, of those that our tables answer.
  const strict = new Set([7, 11, 16, 22, 27, 33, 34, 45, 82]);
  const ours = [...PROFILE_ROWS, ...QUERY_ROWS].filter(
    ({ row, refused, why }) => strict.has(row) && refused === undefined && why === undefined,
  );
  expect(ours).toEqual([]);
});
