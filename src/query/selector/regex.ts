import { RE2JS } from 're2js';
import { utf8 } from '../../base/bytes.ts';
import { isErrorLike, TephraError } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';

/** A pattern that is matched against whole values; dialect RE2, `.` matches a newline too. */
export interface ValuePattern {
  matches(value: string): boolean;
  /** The values it matches, if it is just a list of them (`a`, `a|b`, `(a|b\.c)`), in order. */
  readonly literals: readonly string[] | undefined;
}

/** Verdicts of one pattern that are remembered: label values repeat from series to series. */
const VERDICTS_MAX = 4_096;

const compiled = new Map<string, ValuePattern>();

/**
 * Compiles a client's pattern with RE2 (linear time; JavaScript's own engine takes 22 s for
 * `^(a+)+$`). Throws `regex_too_large` or `invalid_regex`. The most recently used 1,000 are kept.
 */
export function compileValuePattern(pattern: string): ValuePattern {
  const known = compiled.get(pattern);
  if (known !== undefined) {
    compiled.delete(pattern);
    compiled.set(pattern, known);
    return known;
  }
  const bytes = utf8(pattern).byteLength;
  if (bytes > LIMITS.regexBytesMax) {
    throw new TephraError(
      'regex_too_large',
      `expected a pattern of at most ${LIMITS.regexBytesMax} bytes, found ${bytes}`,
    );
  }
  const literals = literalAlternatives(pattern);
  const made = literals === undefined ? byEngine(pattern) : byList(literals);
  compiled.set(pattern, made);
  const oldest = compiled.size > LIMITS.regexesCachedMax ? compiled.keys().next().value : undefined;
  if (oldest !== undefined) compiled.delete(oldest);
  return made;
}

function byList(literals: readonly string[]): ValuePattern {
  const values = new Set(literals);
  return { matches: (value) => values.has(value), literals: [...values] };
}

function byEngine(pattern: string): ValuePattern {
  const regex = compileOrThrow(pattern);
  const size = regex.programSize();
  if (size > LIMITS.regexInstructionsMax) {
    throw new TephraError(
      'regex_too_large',
      `expected at most ${LIMITS.regexInstructionsMax} instructions, found ${size}: repeat less`,
    );
  }
  const verdicts = new Map<string, boolean>();
  return {
    literals: undefined,
    matches(value) {
      const known = verdicts.get(value);
      if (known !== undefined) return known;
      const verdict = regex.testExact(value);
      if (verdicts.size >= VERDICTS_MAX) verdicts.clear();
      verdicts.set(value, verdict);
      return verdict;
    },
  };
}

function compileOrThrow(pattern: string): RE2JS {
  try {
    return RE2JS.compile(pattern, RE2JS.DOTALL);
  } catch (thrown) {
    const why = (isErrorLike(thrown) ? thrown.message : String(thrown))
      .replace('error parsing regexp: ', '')
      .replace('(?s)', '');
    // `x{0,1000}{0,1000}` is a syntax error to RE2, but what is wrong with it is its size.
    const large = /too large|invalid repeat count|nested repetition operator: `\{/.test(why);
    throw new TephraError(
      large ? 'regex_too_large' : 'invalid_regex',
      `${why} (the dialect is RE2: no look-around, no back-references)`,
      { cause: thrown },
    );
  }
}

/**
 * The alternatives of a pattern made of literals and `|` only, in one pair of parentheses at most;
 * undefined for anything else. A backslash before ASCII punctuation is that character in RE2.
 */
function literalAlternatives(pattern: string): string[] | undefined {
  const inner = /^\((?:\?:)?([^()]*)\)$/.exec(pattern)?.[1];
  const found: string[] = [];
  let literal = '';
  const text = inner === undefined || inner.endsWith('\\') ? pattern : inner;
  for (let i = 0; i < text.length; i++) {
    const char = text[i] as string;
    if (char === '|') {
      found.push(literal);
      literal = '';
    } else if (char === '\\') {
      const escaped = text[++i] ?? '';
      if (!/^[!-/:-@[-`{-~]$/.test(escaped)) return undefined;
      literal += escaped;
    } else if ('.+*?()[]{}^$'.includes(char)) {
      return undefined;
    } else {
      literal += char;
    }
  }
  found.push(literal);
  return found;
}
