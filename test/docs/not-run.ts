import type { Block } from './blocks.ts';

/** Languages that are not run, and why. */
export const NOT_RUN_LANGUAGES: ReadonlyMap<string, string> = new Map([
  ['text', 'output, or a drawing'],
  ['go', 'fetches a module; tried by hand, the page says when'],
  ['python', 'fetches a package; tried by hand, the page says when'],
  ['alloy', 'Alloy is not at hand'],
]);

/** A block that is not run although its language is. */
export interface NotRun {
  readonly page: string;
  /** How its first line begins. */
  readonly begins: string;
  readonly why: string;
}

/** Blocks that are not run, and why. */
export const NOT_RUN: readonly NotRun[] = [
  {
    page: 'README.md',
    begins: 'npm start',
    why: 'would build what runs here, and run this test in itself',
  },
  {
    page: 'docs/agent.md',
    begins: 'npm install tephradb',
    why: 'test/package installs the package',
  },
  {
    page: 'docs/agents-other.md',
    begins: 'perf record',
    why: 'perf runs in test/cli/stream.test.ts where it may; py-spy and bpftrace are not at hand',
  },
  {
    page: 'docs/operations.md',
    begins: 'systemctl stop',
    why: 'needs root and systemd',
  },
];

/** Why a block is not run, if it is not. */
export function whyNotRun(block: Block): string | undefined {
  return (
    NOT_RUN_LANGUAGES.get(block.language) ??
    NOT_RUN.find(({ page, begins }) => page === block.page && block.text.startsWith(begins))?.why
  );
}
