import { TephraError } from '../../base/errors.ts';
import { formatProfileType, parseProfileType } from '../../profile/profile-type.ts';

/** A parameter of a URL, undefined if it is absent or empty. Throws `invalid_argument` if it is given twice. */
export function oneParameter(query: URLSearchParams, key: string): string | undefined {
  const values = query.getAll(key);
  if (values.length > 1) throw new TephraError('invalid_argument', `${key} is given twice`);
  return values[0] === '' ? undefined : values[0];
}

/**
 * `type{labels}`, or a selector in which `__profile_type__="..."` names the type. The matcher stays in the
 * selector, so that another one beside it is not ignored. `key` is the parameter, for messages. Throws
 * `invalid_argument`, `invalid_profile_type`.
 */
export function parseTypedQuery(
  text: string | undefined,
  key = 'query',
): { profileType: string; selector: string } {
  if (text === undefined) {
    throw new TephraError('invalid_argument', `${key} is required: type{labels}`);
  }
  const open = text.indexOf('{');
  const type = (open < 0 ? text : text.slice(0, open)).trim();
  const selector = open < 0 ? '{}' : text.slice(open);
  if (type !== '') return { profileType: formatProfileType(parseProfileType(type)), selector };
  const named = /[{,]\s*__profile_type__\s*=\s*"([^"\\]*)"/.exec(selector)?.[1];
  if (named === undefined) {
    throw new TephraError(
      'invalid_argument',
      `${key}: expected a profile type in front of {, or __profile_type__="..." within`,
    );
  }
  return { profileType: formatProfileType(parseProfileType(named)), selector };
}
