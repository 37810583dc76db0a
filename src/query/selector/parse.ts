import { utf8 } from '../../base/bytes.ts';
import { TephraError } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';
import { createMatcher, type Matcher, type MatchOp, profileTypeId } from './matcher.ts';
import { Scanner } from './scanner.ts';

/** Longer operators first: `=` begins `=~`. */
const OPERATORS: readonly MatchOp[] = ['=~', '!~', '!=', '='];
const METRIC_NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;

/**
 * Parses a PromQL vector selector without range and modifiers; no matchers = everything (`{}`).
 *
 *     selector = [ metric-name | profile-type-id ] [ "{" [ matcher { "," matcher } [ "," ] ] "}" ]
 *     matcher  = ( name | string ) op string  |  string        the last: a metric name
 *
 * One of the two parts must be there. A five-part type id may hold any characters but `{`. Throws
 * `parse_error` with line:column, `selector_too_large`, `invalid_regex`, `regex_too_large`.
 */
export function parseSelector(text: string): Matcher[] {
  const bytes = utf8(text).byteLength;
  if (bytes > LIMITS.selectorBytesMax) {
    throw new TephraError(
      'selector_too_large',
      `expected at most ${LIMITS.selectorBytesMax} bytes, found ${bytes}`,
    );
  }
  const scanner = new Scanner(text);
  if (scanner.ended) scanner.fail('a selector such as {service_name="shop"}');
  const matchers: Matcher[] = [];
  parseMetricName(scanner, matchers);
  if (scanner.takeAny(['{']) !== undefined) parseMatchers(scanner, matchers);
  if (!scanner.ended) scanner.fail('the end of the selector');
  return matchers;
}

function parseMetricName(scanner: Scanner, matchers: Matcher[]): void {
  const start = scanner.at;
  const brace = scanner.text.indexOf('{', start);
  const name = scanner.text.slice(start, brace < 0 ? undefined : brace).trim();
  if (name === '') return;
  if (!METRIC_NAME.test(name) && profileTypeId(name) === undefined) {
    if (brace < 0 && /[=!]/.test(name)) scanner.fail("'{' in front of labels");
    scanner.fail("a metric name, a profile type id or '{'");
  }
  matchers.push(createMatcher('__name__', '=', name));
  scanner.seek(brace < 0 ? scanner.text.length : brace);
}

function parseMatchers(scanner: Scanner, matchers: Matcher[]): void {
  while (scanner.takeAny(['}']) === undefined) {
    if (matchers.length === LIMITS.matchersMax) {
      throw new TephraError(
        'selector_too_large',
        `expected at most ${LIMITS.matchersMax} matchers`,
      );
    }
    matchers.push(parseMatcher(scanner));
    if (scanner.takeAny([',']) === undefined) {
      if (scanner.takeAny(['}']) !== undefined) return;
      scanner.fail("',' or '}'");
    }
  }
}

function parseMatcher(scanner: Scanner): Matcher {
  const plain = scanner.labelName();
  const name = plain ?? scanner.quoted() ?? scanner.fail("a label name or '}'");
  const op = scanner.takeAny(OPERATORS) as MatchOp | undefined;
  if (op === undefined) {
    if (plain !== undefined) scanner.fail('one of =, !=, =~, !~');
    return createMatcher('__name__', '=', name);
  }
  if (name === '') scanner.fail('a label name that is not empty');
  return createMatcher(name, op, scanner.quoted() ?? scanner.fail('a quoted string'));
}
