import { describe, expect, it } from '@jest/globals';
import { TephraError } from '../../../src/base/errors.ts';
import type { LabelSet } from '../../../src/profile/labels.ts';
import { parseProfileType } from '../../../src/profile/profile-type.ts';
import { matchesSeries } from '../../../src/query/selector/matcher.ts';
import { parseSelector } from '../../../src/query/selector/parse.ts';
import { compileValuePattern } from '../../../src/query/selector/regex.ts';
import { requiredService } from '../../../src/query/selector/required-service.ts';

const CPU = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds';

/** `name op value` of each matcher. */
function shown(text: string): string[] {
  return parseSelector(text).map(({ name, op, value }) => `${name} ${op} ${value}`);
}

function refusal(text: string): string {
  try {
    parseSelector(text);
  } catch (thrown) {
    if (thrown instanceof TephraError) return thrown.message;
    throw thrown;
  }
  return 'accepted';
}

describe('parseSelector', () => {
  it.each([
    ['{}', []],
    [' { } ', []],
    ['{a="b"}', ['a = b']],
    ['{a="b",}', ['a = b']],
    ['{ a != "b" , c=~"d|e",f!~`g` }', ['a != b', 'c =~ d|e', 'f !~ g']],
    ["{a='it\"s'}", ['a = it"s']],
    ['{a="it\'s"}', ["a = it's"]],
    ['{"service.name"="x"}', ['service.name = x']],
    ['{"process_cpu"}', ['__name__ = process_cpu']],
    ['process_cpu', ['__name__ = process_cpu']],
    ['process_cpu{a="b"}', ['__name__ = process_cpu', 'a = b']],
    [`${CPU}{}`, [`__profile_type__ = ${CPU}`]],
    [CPU, [`__profile_type__ = ${CPU}`]],
    [`${CPU}:delta{}`, [`__profile_type__ = ${CPU}`]],
    [`{__name__="${CPU}"}`, [`__profile_type__ = ${CPU}`]],
    [`{__profile_type__="${CPU}:delta"}`, [`__profile_type__ = ${CPU}`]],
    ['memory:malloc_bytes:bytes::{}', ['__profile_type__ = memory:malloc_bytes:bytes::']],
    ['x:cache misses/s:1-%:a.b:ü {}', ['__profile_type__ = x:cache misses/s:1-%:a.b:ü']],
    ['{a="\\n\\t\\\\\\"\\x41\\101\\u00e9\\U0001F600\\xc3\\xa9"}', ['a = \n\t\\"AAé😀é']],
    ['{a=`\\n`}', ['a = \\n']],
    ['{\n  a="b",\n  c="d"\n}', ['a = b', 'c = d']],
  ])('reads %s', (text, matchers) => {
    expect(shown(text)).toEqual(matchers);
  });

  it.each([
    ['', 'parse_error: at 1:1: expected a selector such as {service_name="shop"}, found the end'],
    ['  ', 'parse_error: at 1:3: expected a selector'],
    ['{', "parse_error: at 1:2: expected a label name or '}', found the end"],
    ['{a=}', 'parse_error: at 1:4: expected a quoted string, found "}"'],
    ['{a="b}', 'parse_error: at 1:7: expected a closing ", found the end'],
    ['{a=`b}', 'parse_error: at 1:7: expected a closing `'],
    ['{a="b\n"}', 'parse_error: at 1:6: expected a closing "'],
    ['{\n a="é" "x"}', "parse_error: at 2:8: expected ',' or '}'"],
    ['{a}', 'parse_error: at 1:3: expected one of =, !=, =~, !~'],
    ['{a.b="c"}', 'parse_error: at 1:3: expected one of'],
    ['{,}', 'parse_error: at 1:2: expected a label name'],
    ['{""="x"}', 'parse_error: at 1:5: expected a label name that is not empty'],
    ['{a="b"}}', 'parse_error: at 1:8: expected the end'],
    ['{a="b"}[5m]', 'parse_error: at 1:8: expected the end'],
    ['a="b"', "parse_error: at 1:1: expected '{' in front of labels"],
    ['a-b{}', 'parse_error: at 1:1: expected a metric name'],
    ['{a="\\q"}', 'parse_error: at 1:5: expected a valid escape sequence'],
    ['{a="\\\'"}', 'parse_error: at 1:5: expected a valid escape sequence'],
    ['{a="\\x4"}', 'parse_error: at 1:5: expected a valid escape sequence'],
    ['{a="\\ud800"}', 'parse_error: at 1:5: expected a valid escape sequence'],
    ['{a="\\U00110000"}', 'parse_error: at 1:5: expected a valid escape sequence'],
    ['{a="\\xff"}', 'parse_error: at 1:5: expected escaped bytes that are UTF-8'],
    ['{a="\ud800"}', 'parse_error: at 1:5: expected well-formed Unicode'],
    ['{'.repeat(8_000), 'parse_error: at 1:2: expected a label name'],
    ['{a=~"("}', 'invalid_regex: missing closing )'],
    ['{a=~"(?=x)"}', 'invalid_regex: invalid or unsupported Perl syntax'],
    ['{a=~"(?<!x)"}', 'invalid_regex: '],
    ['{a=~"(x)\\\\1"}', 'invalid_regex: invalid escape sequence'],
    ['{a=~"x{0,1000}{0,1000}"}', 'regex_too_large: '],
    ['{a=~"(x{0,1000}){0,1000}"}', 'regex_too_large: '],
    ['{a=~"((a{0,10}){0,10}){0,10}"}', 'regex_too_large: '],
    ['{a=~"x{1001}"}', 'regex_too_large: '],
    [
      `{a=~"${'x'.repeat(513)}"}`,
      'regex_too_large: expected a pattern of at most 512 bytes, found 513',
    ],
    [`{${'a="b",'.repeat(101)}}`, 'selector_too_large: expected at most 100 matchers'],
    [`{a="${'x'.repeat(8_192)}"}`, 'selector_too_large: expected at most 8192 bytes, found 8198'],
  ])('refuses %s', (text, message) => {
    expect(refusal(text)).toContain(message);
  });

  it('accepts 100 matchers and a pattern of 512 bytes', () => {
    expect(parseSelector(`{${'a="b",'.repeat(100)}}`)).toHaveLength(100);
    expect(refusal(`{a=~"${'x'.repeat(512)}"}`)).toBe('accepted');
  });

  it('never throws anything but its own errors, wherever a selector is cut or changed', () => {
    const whole = `${CPU}{a="\\x41\\u00e9",'b'!~\`c|d\`,"e.f"=~"g.+"}`;
    for (let at = 0; at <= whole.length; at++) {
      refusal(whole.slice(0, at));
      for (const char of ['{', '"', '\\', '\ud800', ',', '\n']) {
        refusal(whole.slice(0, at) + char + whole.slice(at + 1));
      }
    }
  });
});

describe('matchesSeries', () => {
  const labels: LabelSet = [
    ['region', 'eu'],
    ['service_name', 'shop'],
  ];
  const matches = (selector: string): boolean =>
    matchesSeries(parseSelector(selector), labels, parseProfileType(CPU));

  it.each([
    ['{}', true],
    ['{region="eu"}', true],
    ['{region="us"}', false],
    ['{region="eu",service_name="x"}', false],
    ['{absent=""}', true],
    ['{absent!="x"}', true],
    ['{absent=~".*"}', true],
    ['{absent=~".+"}', false],
    ['{region!=""}', true],
    ['{region=~"e|u"}', false],
    ['{region=~"e.|us"}', true],
    ['{region=~"EU"}', false],
    ['{region=~"(?i)EU"}', true],
    ['{region!~"e"}', true],
    ['{region!~"e."}', false],
    ['{__name__="process_cpu"}', true],
    [`{__name__="${CPU}"}`, true],
    [`{__profile_type__="${CPU}"}`, true],
    ['{__profile_type__="memory:a:b::"}', false],
    ['{__type__="cpu",__unit__="nanoseconds"}', true],
    ['{__period_type__="cpu",__period_unit__="nanoseconds"}', true],
    ['{__service_name__="shop"}', true],
    [`${CPU}{region="eu"}`, true],
  ])('%s: %s', (selector, expected) => {
    expect(matches(selector)).toBe(expected);
  });

  it('gives a series without service the name unknown_service', () => {
    const match = (selector: string): boolean =>
      matchesSeries(parseSelector(selector), [], parseProfileType(CPU));
    expect(match('{service_name="unknown_service"}')).toBe(true);
    expect(match('{service_name=""}')).toBe(false);
  });
});

describe('compileValuePattern', () => {
  it.each([
    ['a', ['a']],
    ['a|b|a', ['a', 'b']],
    ['', ['']],
    ['a|', ['a', '']],
    ['(a|b)', ['a', 'b']],
    ['(?:a|b)', ['a', 'b']],
    ['a\\.b|c\\-d', ['a.b', 'c-d']],
    ['a.b', undefined],
    ['a\\d', undefined],
    ['a\\_', ['a_']],
    ['(a)(b)', undefined],
    ['(a\\)', 'invalid'],
    ['^a$', undefined],
    ['(?i)a', undefined],
  ])('lists the values of %s', (pattern, literals) => {
    if (literals === 'invalid') expect(() => compileValuePattern(pattern)).toThrow('invalid_regex');
    else expect(compileValuePattern(pattern).literals).toEqual(literals);
  });

  it.each(['(a+)+$', '(.*a){12}', '^(a+)+$', '(a|aa)+b', '(a?){100}', '(.*)*b', '.*a.{300}'])(
    'runs %s on the longest value, for which backtracking would take years',
    (pattern) => {
      const value = 'a'.repeat(2_047);
      const started = process.cpuUsage();
      compileValuePattern(pattern).matches(`${value}!`);
      // Some milliseconds in truth; the bound only tells linear from exponential.
      expect(process.cpuUsage(started).user).toBeLessThan(5_000_000);
    },
  );

  it('gives the same verdict again', () => {
    const pattern = compileValuePattern('a.c');
    expect([pattern.matches('abc'), pattern.matches('abc'), pattern.matches('abcd')]).toEqual([
      true,
      true,
      false,
    ]);
    expect(compileValuePattern('a.c')).toBe(pattern);
    expect(pattern.matches('a\nc')).toBe(true);
  });
});

describe('requiredService', () => {
  it.each([
    ['{}', undefined],
    ['{region="eu"}', undefined],
    ['{service_name="shop"}', ['shop']],
    ['{__service_name__="shop"}', ['shop']],
    ['{service_name=~"shop|cart"}', ['cart', 'shop']],
    ['{service_name=~"shop.*"}', undefined],
    ['{service_name!="shop"}', undefined],
    ['{service_name=~"shop|cart",service_name!="cart"}', ['shop']],
    ['{service_name=~"s.*",service_name=~"shop|cart"}', ['shop']],
    ['{service_name="a",service_name="b"}', []],
  ])('of %s is %j', (selector, services) => {
    expect(requiredService(parseSelector(selector))).toEqual(services);
  });
});
