import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { PerfScriptLines } from '../../../src/profile/perf-script/read.ts';
import { collectText, type Found } from '../stack-lines/collect.ts';

const read = (text: string, event?: string): Found =>
  collectText(text, (sink) => new PerfScriptLines(sink, event));

const SAMPLE = `spin  4347 16070.848905:   10101010 cpu-clock: 
	            1145 inner+0xc (/tmp/spin)
	            1197 main+0x1e (/tmp/spin)
	           2724a __libc_start_call_main+0x7a (/usr/lib/x86_64-linux-gnu/libc.so.6)

`;
const STACK = 'spin;__libc_start_call_main;main;inner 1 10101010';

describe('perf script', () => {
  test('a sample is the command, then its frames from the root', () => {
    expect(read(SAMPLE + SAMPLE)).toEqual({ stacks: [STACK, STACK], troubles: [] });
    expect(read(SAMPLE.replaceAll('\n', '\r\n'))).toEqual({ stacks: [STACK], troubles: [] });
    expect(read(SAMPLE.trimEnd())).toEqual({ stacks: [STACK], troubles: [] });
  });

  test.each([
    ['with a CPU', 'swapper     0 [001] 202513.231817:    1001001 cpu-clock: '],
    ['with pid and tid', 'swapper  4347/4348 202513.231817:    1001001 cpu-clock:pppH: '],
    ['with a pid below 0', 'swapper    -1 [000] 202513.231817:    1001001 task-clock:ppp: '],
  ])('a header %s', (_what, header) => {
    expect(read(`${header}\n\t 1f a (x)\n\n`).stacks).toEqual(['swapper;a 1 1001001']);
  });

  test.each([
    [
      'a command with spaces and digits',
      'Web Content 2  99 [000] 1.5: 250000 cycles:P: ',
      'Web Content 2',
    ],
    ['an event of a PMU', 'java 99 [000] 1.5: 250000 cpu_core/cycles/P: ', 'java'],
    ['no period', 'java 99 1.5: cycles: ', 'java'],
    ['neither time nor event', 'java 99 ', 'java'],
    ['flags behind the CPU', 'java 99 [002] d..3. 1.5: sched:sched_switch: prev_comm=a b', 'java'],
  ])('a header with %s counts by the rate', (_what, header, command) => {
    expect(read(`${header}\n\t 1f a (x)\n\n`)).toEqual({
      stacks: [`${command};a 1`],
      troubles: [],
    });
  });

  test('without stacks the frame stands on the line', () => {
    const line =
      '            spin  4445 16076.849010:   10101010 cpu-clock:      55f4d1fc0145 inner+0xc (/tmp/spin)\n';
    expect(read(line + line).stacks).toEqual(['spin;inner 1 10101010', 'spin;inner 1 10101010']);
  });

  test.each([
    ['ffffffffad135f6f [unknown] ([kernel.kallsyms])', '[kernel.kallsyms]'],
    ['6ce258d4c544155 [unknown] ([unknown])', '[unknown]'],
    ['7f12 [unknown] (/usr/lib/libx.so.6)', '[libx.so.6]'],
    ['7f12 [unknown] (/opt/a b/prog (deleted))', '[prog]'],
    ['7f12 ns::f(int, char (*)(long))+0x1a (/bin/prog)', 'ns::f(int, char (*)(long))'],
    ['7f12 Lcom/Foo;::bar+0x2 (/tmp/perf-12.map)', 'Lcom/Foo;::bar'],
    ['7f12 inner (inlined)', 'inner'],
    ['7f12 inner', 'inner'],
    ['7f12 ', '[unknown]'],
  ])('the frame %j', (frame, name) => {
    const { stacks } = read(`c 1 1.5: cycles:\n\t${frame}\n\n`);
    expect(stacks).toEqual([frame.endsWith(' ') ? 'c 1' : `c;${name} 1`]);
  });

  test('lines of source, comments and a header of the file are passed over', () => {
    const text = `# ========\n# event : name = x\n#\n${SAMPLE.replace('(/tmp/spin)\n', '(/tmp/spin)\n  spin.c:12\n')}`;
    expect(read(text)).toEqual({ stacks: [STACK], troubles: [] });
  });

  test('only one event is taken, the first or the one that is asked for', () => {
    const fault = 'spin 7 1.5: 1 page-faults: \n\t 1f load (x)\n\n';
    const first = read(fault + SAMPLE + fault);
    expect(first.stacks).toEqual(['spin;load 1', 'spin;load 1']);
    expect(first.troubles).toEqual([
      'only samples of page-faults are taken, not those of cpu-clock',
    ]);
    expect(read(fault + SAMPLE, 'cpu-clock').stacks).toEqual([STACK]);
  });

  test('lines that are none of it are told, and the samples around them stay', () => {
    const text = `hello\n${SAMPLE}\t 1f stray (x)\n${SAMPLE}c 9\n\n`;
    const { stacks, troubles } = read(text);
    expect(stacks).toEqual([STACK, STACK]);
    expect(troubles).toEqual([
      'expected "command pid time: event:", found "hello"',
      'expected "command pid time: event:", found "1f stray (x)"',
      'expected "command pid time: event:", found "c 9"',
    ]);
  });

  test('cut anywhere, all samples but the last are there', () => {
    const text = SAMPLE.repeat(3);
    for (let end = 0; end <= text.length; end++) {
      const { stacks } = read(text.slice(0, end));
      const whole = Math.floor(end / SAMPLE.length);
      expect([end, stacks.slice(0, whole)]).toEqual([end, Array(whole).fill(STACK)]);
      expect(stacks.length).toBeLessThanOrEqual(whole + 1);
    }
  });
});

const corpus = process.env['TEPHRA_CORPUS'];
const withCorpus = corpus === undefined ? describe.skip : describe;
withCorpus(
  `recorded output${corpus === undefined ? ' (skipped: TEPHRA_CORPUS is unset)' : ''}`,
  () => {
    const folder = join(corpus ?? '', 'text');
    const files =
      corpus === undefined ? [''] : readdirSync(folder).filter((name) => name.endsWith('perf.txt'));
    test.each(files)('%s: each paragraph is a sample, with the frames that it has', (name) => {
      const text = readFileSync(join(folder, name), 'utf8');
      const expected = text
        .split(/\n\s*\n/)
        .filter((paragraph) => paragraph.trim() !== '')
        .map((paragraph) => paragraph.trim().split('\n').length);
      const { stacks, troubles } = read(text);
      expect(troubles).toEqual([]);
      expect(stacks.map((stack) => stack.split(';').length)).toEqual(expected);
    });
  },
);
