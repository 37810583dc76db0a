import type { Span } from './span.ts';
import { selectorOf, type PageState } from './state.ts';

/** One call of the server's API. */
export interface ApiCall {
  /** `service/Method`. */
  readonly method: string;
  readonly body: object;
}

/** The `Selection` of one span. Its begin is not part of it, as in a timeline's point. */
export function selectionOf(state: PageState, type: string, span: Span): object {
  return {
    profileType: type,
    selector: selectorOf(state),
    startMs: String(span.fromMs + 1),
    endMs: String(span.toMs),
  };
}

/** The call whose answer is the flame graph on screen. */
export function graphCall(state: PageState, type: string, span: Span, base: Span): ApiCall {
  const right = selectionOf(state, type, span);
  return state.view === 'diff'
    ? {
        method: 'tephra.v1.QueryService/Diff',
        body: { left: selectionOf(state, type, base), right },
      }
    : { method: 'tephra.v1.QueryService/Merge', body: { selection: right } };
}

/** The call as a shell command. `server` is the address that the page came from, with its prefix. */
export function curlCommand(call: ApiCall, server: string): string {
  return [
    `curl -s ${quoted(`${server}/${call.method}`)}`,
    `-H 'content-type: application/json'`,
    `-d ${quoted(JSON.stringify(call.body))}`,
  ].join(' \\\n  ');
}

/** The same question to the command line. */
export function cliCommand(
  state: PageState,
  type: string,
  span: Span,
  base: Span,
  server: string,
): string {
  const iso = (ms: number): string => new Date(ms).toISOString();
  const matchers = selectorOf({ ...state, service: undefined });
  const words = [`tephra query ${state.view === 'diff' ? 'diff' : 'merge'}`];
  const { service = '' } = state;
  if (service !== '') words.push(`--service ${quoted(service)}`);
  if (matchers !== '{}') words.push(`--selector ${quoted(matchers)}`);
  words.push(`--type ${quoted(type)}`);
  words.push(`--from ${iso(span.fromMs + 1)} --to ${iso(span.toMs)}`);
  if (state.view === 'diff') {
    words.push(`--base-from ${iso(base.fromMs + 1)} --base-to ${iso(base.toMs)}`);
    words.push(`--floor ${state.floor * 100}%`);
  }
  words.push(`--server ${quoted(server)}`);
  return words.join(' \\\n  ');
}

/** One word of a POSIX shell. */
export function quoted(text: string): string {
  return /^[\w./:@%+=-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
