import type { SourceFile } from './source-file.ts';
import { lineAt, withoutProse } from './source-file.ts';

/** A pattern that must not appear below src/. */
export interface Ban {
  readonly pattern: RegExp;
  /** What to use instead. */
  readonly instead: string;
  /** Paths, or folders with a slash at the end, where it is allowed. */
  readonly except?: readonly string[];
  /** Looks into comments and strings too. */
  readonly inProse?: true;
}

const CLOCK = ['src/base/clock.ts'];
/** Runs in browsers: they have no other clock, and no table of errors. */
const PAGE = ['src/page/'];
const ENTRY = ['src/app.ts', 'src/cli/', 'src/config/'];

/** What must not appear in the product's code, and why not. */
export const BANNED: readonly Ban[] = [
  { pattern: /\b(?:FIXME|TODO|XXX|HACK)\b/, instead: 'do it, or file it', inProse: true },
  { pattern: /@ts-(?:ignore|nocheck)/, instead: '@ts-expect-error with a reason', inProse: true },
  { pattern: /\bDate\.now\b/, instead: 'a Clock argument', except: [...CLOCK, ...PAGE] },
  {
    pattern: /\bnew Date\(\)/,
    instead: 'a Clock argument',
    except: [...CLOCK, ...PAGE],
  },
  {
    pattern: /\bperformance\.now\b|\bprocess\.hrtime\b/,
    instead: 'a Clock argument',
    except: CLOCK,
  },
  {
    // A method of a socket or stream is not the global.
    pattern: /(?<!\.)\b(?:setTimeout|setInterval|setImmediate)\s*\(/,
    instead: 'a Timers argument',
    // The latter waits for another process, whose time nobody simulates.
    except: [...CLOCK, ...PAGE, 'src/storage/blob-store/level/suspect.ts'],
  },
  { pattern: /\bMath\.random\b/, instead: 'a Random argument' },
  {
    pattern: /\brandomBytes\b|\brandomUUID\b|\bgetRandomValues\b/,
    instead: 'a Random argument',
    except: ['src/base/random.ts'],
  },
  {
    pattern: /\bprocess\.env\b/,
    instead: 'an argument',
    except: [...ENTRY, 'src/agent/index.ts'],
  },
  { pattern: /\bprocess\.exit\b/, instead: 'process.exitCode', except: ['src/cli/'] },
  { pattern: /\binstanceof Error\b/, instead: 'isErrorLike, isErrno or TephraError.from' },
  {
    pattern: /\bthrow new (?:Error|TypeError|RangeError)\(/,
    instead: 'a TephraError for the world, assert for a bug',
    except: ['src/base/assert.ts', ...PAGE],
  },
  { pattern: /\bmultithreading: true\b/, instead: 'one owner of each LevelDB handle' },
  {
    pattern: /\bfor await \([^)]*\bof (?:call|stream)\b(?!\.iterator)/,
    instead: 'call.iterator({ destroyOnReturn: false })',
  },
  { pattern: /\bexport \* from\b/, instead: 'imports from the file that declares' },
];

/** Uses of what is banned. */
export function bannedComplaints(file: SourceFile): string[] {
  const code = withoutProse(file.text);
  return BANNED.flatMap(({ pattern, instead, except = [], inProse }) => {
    const allowed = except.some((path) =>
      path.endsWith('/') ? file.path.startsWith(path) : file.path === path,
    );
    if (allowed) return [];
    const text = inProse === true ? file.text : code;
    return [...text.matchAll(new RegExp(pattern, 'g'))].map(
      (match) => `${file.path}:${lineAt(text, match.index)}: ${match[0].trim()}: use ${instead}`,
    );
  });
}
