import { describe, expect, test } from '@jest/globals';
import { TephraError } from '../../src/base/errors.ts';
import { fuzz } from './fuzz.ts';
import { TARGETS } from './targets.ts';

/** Enough to notice a regression; `npm run fuzz` runs as many as one likes. */
const EXECUTIONS = 2_500;

describe('mutants of valid input are read or refused for a reason, and quickly', () => {
  test.each(Object.keys(TARGETS))('%s', (name) => {
    const target = TARGETS[name];
    if (target === undefined) throw new Error(name);
    const { accepted, refused } = fuzz(target(), {
      executions: EXECUTIONS,
      seed: 20_260_314,
      slowMs: 5_000,
    });
    // Both ways are taken, or the mutants are not worth much.
    expect(accepted).toBeGreaterThan(0);
    expect(refused.size).toBeGreaterThan(0);
  });
});

/** Inputs that once were findings, by target. */
const FINDINGS: readonly (readonly [target: string, base64: string])[] = [
  // The time of a part comes twice, of two days.
  [
    'stream',
    'Cj4SPAgBEAEaJQgBEgFtGAEiAwoBASgBMgEAOgEBQAFKDRILCglhOmI6YzpkOmUiDxAFCAEQgLiZKSIBAioBAw==',
  ],
  // A profile id that is a byte order mark.
  [
    'stream',
    'CkESPwgBEAEaJQgBEgFtGAEiAwoBASgBMgEAOgEBQAFKDRILCglhOmI6YzpkOmUiEggBEIC4mSkiAQIqAQNCA++7vw==',
  ],
];

describe('findings of earlier runs', () => {
  test('are read or refused for a reason', () => {
    for (const [name, base64] of FINDINGS) {
      const { run } = TARGETS[name]?.() ?? {};
      if (run === undefined) throw new Error(name);
      try {
        run(new Uint8Array(Buffer.from(base64, 'base64')));
      } catch (thrown) {
        if (!(thrown instanceof TephraError)) throw thrown;
        expect(thrown.reason).not.toBe('internal');
      }
    }
  });
});
