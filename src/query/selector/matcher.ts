import type { LabelSet } from '../../profile/labels.ts';
import type { ProfileType } from '../../profile/profile-type.ts';
import { seriesLabel } from '../labels/series-label.ts';
import { compileValuePattern } from './regex.ts';

/** Equal, not equal, matches and does not match an anchored regular expression. */
export type MatchOp = '=' | '!=' | '=~' | '!~';

/** One condition on a label. */
export interface Matcher {
  readonly name: string;
  readonly op: MatchOp;
  /** The text to compare with, or the pattern. */
  readonly value: string;
  /** Whether a series with this value of the label fulfils it; '' = the series lacks the label. */
  matches(value: string): boolean;
  /** The only values that fulfil it, where that is a list; undefined otherwise. */
  readonly values: readonly string[] | undefined;
}

/**
 * Makes a matcher. `__name__` compared with a whole five-part type id (Grafana's variable editor
 * writes it there) is a matcher of `__profile_type__`; a sixth part `delta` is dropped. Throws
 * `invalid_regex`, `regex_too_large`.
 */
export function createMatcher(name: string, op: MatchOp, value: string): Matcher {
  if (op === '=~' || op === '!~') {
    const pattern = compileValuePattern(value);
    if (op === '=~') {
      return { name, op, value, matches: pattern.matches, values: pattern.literals };
    }
    return { name, op, value, matches: (text) => !pattern.matches(text), values: undefined };
  }
  const id = name === '__name__' || name === '__profile_type__' ? profileTypeId(value) : undefined;
  const label = id === undefined ? name : '__profile_type__';
  const wanted = id ?? value;
  return op === '='
    ? { name: label, op, value: wanted, matches: (text) => text === wanted, values: [wanted] }
    : { name: label, op, value: wanted, matches: (text) => text !== wanted, values: undefined };
}

/** The five-part id that `text` is, or undefined. */
export function profileTypeId(text: string): string | undefined {
  const parts = text.split(':');
  if (parts.length === 6 && parts[5] === 'delta') parts.pop();
  return parts.length === 5 ? parts.join(':') : undefined;
}

/** Whether a series fulfils all matchers. */
export function matchesSeries(
  matchers: readonly Matcher[],
  labels: LabelSet,
  type: ProfileType,
): boolean {
  return matchers.every((matcher) => matcher.matches(seriesLabel(labels, type, matcher.name)));
}
