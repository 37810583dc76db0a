/** How a check went: all is well; it serves, but; it will not serve. */
export type State = 'ok' | 'warn' | 'bad';

/** What one check found. */
export interface Finding {
  /** The same word at every run: `node`, `lock`. */
  readonly check: string;
  readonly state: State;
  readonly found: string;
  /** What to do; only where there is something to do. */
  readonly advice?: string;
}

/** All is well with `check`. */
export function ok(check: string, found: string): Finding {
  return { check, state: 'ok', found };
}

/** A server runs, but something may go wrong. */
export function warn(check: string, found: string, advice: string): Finding {
  return { check, state: 'warn', found, advice };
}

/** A server would not start, or stop soon. */
export function bad(check: string, found: string, advice: string): Finding {
  return { check, state: 'bad', found, advice };
}
