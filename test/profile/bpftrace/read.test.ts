import { describe, expect, test } from '@jest/globals';
import { BpftraceLines } from '../../../src/profile/bpftrace/read.ts';
import { collectText, type Found } from '../stack-lines/collect.ts';

const read = (text: string): Found => collectText(text, (sink) => new BpftraceLines(sink));

const KERNEL = `Attaching 1 probe...

@[
    tcp_recvmsg+808
    vfs_read+145
    entry_SYSCALL_64_after_hwframe+61
]: 3
`;
const BOTH = `@cpu[
    tcp_recvmsg+808
    vfs_read+145
, 
    read+16
    main+0x50
    0x7f0123456789
, curl]: 12
`;
const BOTH_STACK = 'curl;[unknown];main;read;vfs_read;tcp_recvmsg 12';

describe('maps of bpftrace', () => {
  test('a key of one stack', () => {
    expect(read(KERNEL)).toEqual({
      stacks: ['entry_SYSCALL_64_after_hwframe;vfs_read;tcp_recvmsg 3'],
      troubles: [],
    });
  });

  test('a key of kernel stack, user stack and command', () => {
    expect(read(KERNEL + BOTH).stacks[1]).toBe(BOTH_STACK);
    expect(read(BOTH.replaceAll('\n', '\r\n')).stacks).toEqual([BOTH_STACK]);
  });

  test.each([
    ['@[bash, \n    a+1\n    b+2\n, 1234]: 5\n', 'bash;1234;b;a 5'],
    ['@[, swapper/0]: 7\n', 'swapper/0 7'],
    ['@[\n, \n, swapper/0]: 7\n', 'swapper/0 7'],
    ['@[swapper/0]: 7\n', 'swapper/0 7'],
    ['@[\n]: 7\n', '[unknown] 7'],
    [
      '@[\n    ffffffff8f1f6e2f do_idle+12 ([kernel])\n    55d0c8f31234 main+80 (/usr/bin/a b)\n]: 1\n',
      'main;do_idle 1',
    ],
    ['@[\n    std::operator+(int)+16\n    operator+\n]: 1\n', 'operator+;std::operator+(int) 1'],
  ])('the key %j', (text, stack) => {
    expect(read(text)).toEqual({ stacks: [stack], troubles: [] });
  });

  test('other maps are passed over, other lines are told, and what breaks off is', () => {
    const { stacks, troubles } = read(`@total: 5\n\nWARNING: lost\n@[\n    a\n${BOTH}@[\n    b\n`);
    expect(stacks).toEqual([BOTH_STACK]);
    expect(troubles).toEqual([
      'expected a map of stacks, found "WARNING: lost"',
      'a map of stacks breaks off',
      'a map of stacks breaks off',
    ]);
  });

  test('a count that is none is told', () => {
    expect(read('@[\n    a\n]: -3\n@[\n    a\n]: 99999999999999999\n').stacks).toEqual([]);
  });

  test('cut anywhere, all maps but the last are there', () => {
    const text = BOTH.repeat(3);
    for (let end = 0; end <= text.length; end++) {
      const { stacks } = read(text.slice(0, end));
      const whole = Math.floor(end / BOTH.length);
      expect([end, stacks.slice(0, whole)]).toEqual([end, Array(whole).fill(BOTH_STACK)]);
    }
  });
});
