import { existsSync } from 'node:fs';
import { CliError, EXIT } from '../io.ts';

/** What one side of a question is: a file, or a query whose missing parts come from the flags. */
export type SideSpec =
  | { readonly kind: 'file'; readonly path: string }
  | {
      readonly kind: 'query';
      readonly url?: string;
      readonly selector?: string;
      readonly from?: string;
      readonly to?: string;
    };

/** The forms of a side, for help and messages. */
const SIDE_FORMS = 'FILE, or any of [URL] [{SELECTOR}] [FROM..TO]';

/**
 * Parses a side: `before.pb.gz`, `now-2h..now-1h`, `{version="1.4"}`,
 * `http://eu:4040 {pod="a"} now-2h..`. A file that exists is a file, whatever it is called.
 */
export function parseSide(text: string, flag: string): SideSpec {
  if (existsSync(text)) return { kind: 'file', path: text };
  let rest = text.trim();
  const url = /^https?:\/\/\S+/.exec(rest)?.[0];
  rest = rest.slice(url?.length ?? 0).trim();
  const selector = rest.startsWith('{') ? /^\{.*\}/s.exec(rest)?.[0] : undefined;
  rest = rest.slice(selector?.length ?? 0).trim();
  const range = /^(\S+?)\.\.(\S*)$/.exec(rest);
  if (rest !== '' && range === null) {
    const why = /[.{]/.test(rest)
      ? `there is no file ${JSON.stringify(rest)}`
      : `found ${JSON.stringify(rest)}`;
    throw new CliError(`${flag}: expected ${SIDE_FORMS}; ${why}`, EXIT.usage);
  }
  if (url === undefined && selector === undefined && range === null) {
    throw new CliError(`${flag}: expected ${SIDE_FORMS}, found nothing`, EXIT.usage);
  }
  return {
    kind: 'query',
    ...(url === undefined ? {} : { url }),
    ...(selector === undefined ? {} : { selector }),
    ...(range?.[1] === undefined
      ? {}
      : { from: range[1], to: range[2] === '' ? 'now' : (range[2] ?? 'now') }),
  };
}
