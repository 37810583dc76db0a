import { Readable } from 'node:stream';
import { spawnSync } from 'node:child_process';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { systemClock, systemTimers } from '../../src/base/clock.ts';
import { runCli } from '../../src/cli/program.ts';

const scripts = new Map<string, string>();
const there = (shell: string): boolean => spawnSync(shell, ['--version']).status === 0;

beforeAll(async () => {
  for (const shell of ['bash', 'zsh', 'fish']) {
    let out = '';
    const code = await runCli(['completion', shell], {
      out: { write: (piece) => (out += String(piece)) },
      err: { write: () => {} },
      input: () => Promise.resolve(new Uint8Array(0)),
      inputStream: () => Readable.from([]),
      environment: {},
      clock: systemClock,
      timers: systemTimers,
    });
    if (code === 0) scripts.set(shell, out);
  }
});

function run(shell: string, args: readonly string[], input: string): string {
  const { stdout, stderr, status } = spawnSync(shell, args, { input, encoding: 'utf8' });
  expect([stderr, status]).toEqual(['', 0]);
  return stdout;
}

describe('completion in bash', () => {
  test.each([
    ['tephra que', ['query']],
    ['tephra query di', ['diff']],
    ['tephra query diff --le', ['--left']],
    ['tephra query diff --by ', ['self', 'total']],
    ['tephra query diff --left now-2h..now-1h --format sp', ['speedscope']],
    ['tephra config ', ['print']],
    ['tephra completion z', ['zsh']],
    ['tephra serve --retention-', ['--retention-raw', '--retention-minutes']],
    ['tephra query labels --left', []],
  ])('of %j offers %j', (line, wanted) => {
    const words = line.split(' ');
    const call = `${scripts.get('bash')}
COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')})
COMP_CWORD=${words.length - 1}
_tephra
printf '%s\\n' "\${COMPREPLY[@]}"
`;
    const offered = run('bash', ['--norc'], call).split('\n').filter(Boolean);
    expect(offered).toEqual(wanted);
  });
});

test('completion in fish (nothing is done where there is no fish)', () => {
  if (!there('fish')) return;
  const lines = ['tephra query di', 'tephra query diff --le', 'tephra query diff --by '];
  const call = `${scripts.get('fish')}\n${lines.map((line) => `complete -C '${line}'`).join('\n')}\n`;
  const offered = run('fish', ['--no-config', '-c', call], '');
  expect(offered).toMatch(/^diff\t.*\n--left\twhat it was\nself\t.*\ntotal\t/s);
});

test('the script for zsh is one that zsh reads (nothing is done where there is no zsh)', () => {
  if (!there('zsh')) return;
  run('zsh', ['-f', '-n'], scripts.get('zsh') ?? '');
  const call = `autoload -U compinit && compinit -D -u\n${scripts.get('zsh')}\necho \${_comps[tephra]}\n`;
  expect(run('zsh', ['-f'], call)).toBe('_tephra\n');
  expect(scripts.get('zsh')).toContain("'diff:what changed from the left side");
});
