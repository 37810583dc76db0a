import { describe, expect, test } from '@jest/globals';
import { heapParts, LABEL_SETS_MAX, timeParts } from '../../src/agent/convert.ts';
import type { PprofObject } from '../../src/agent/profiler.ts';
import { SampleTables } from '../../src/client/stream/tables.ts';

const strings = [''];
const text = (value: string): number => {
  if (!strings.includes(value)) strings.push(value);
  return strings.indexOf(value);
};
const functions = ['main', 'work', ''].map((name, index) => ({
  id: index + 1,
  name: text(name),
  filename: text(name === '' ? '' : 'a.js'),
}));
const line = (functionId: number, at: number): { functionId: number; line: number } => ({
  functionId,
  line: at,
});

function profile(
  samples: { stack: number[]; value: (number | bigint)[]; labels?: Record<string, string> }[],
): PprofObject {
  return {
    sampleType: [],
    sample: samples.map(({ stack, value, labels = {} }) => ({
      locationId: stack,
      value,
      label: Object.entries(labels).map(([key, str]) => ({
        key: text(key),
        str: text(str),
        num: 0,
      })),
    })),
    location: [
      { id: 1, line: [line(1, 3)] },
      { id: 2, line: [line(2, 9)] },
      { id: 3, line: [line(3, 0)] },
      { id: 4, line: [line(2, 9), line(1, 4)] },
    ],
    function: functions,
    stringTable: { strings },
    period: 10_000_000n,
  };
}

/** Names of a stack, root first. */
function stackNames(tables: SampleTables, stack: number): string {
  const names: string[] = [];
  for (let at = stack; at > 0; at = tables.stackParent[at] as number) {
    const frame = tables.stackFrame[at] as number;
    const name = tables.texts[tables.frameFunction[frame] as number];
    names.unshift(`${name}:${tables.frameLine[frame]}`);
  }
  return names.join(';');
}

const taken = { startMs: 60_000, durationMs: 5_000 };

describe('profiles become parts', () => {
  test('wall time is a count of intervals, CPU time has its own column', () => {
    const tables = new SampleTables();
    const [part, ...others] = timeParts(
      profile([
        { stack: [2, 1], value: [3, 30_000_000, 12_345n] },
        { stack: [4], value: [0, 0, 7] },
        { stack: [3], value: [5, 0, 0] },
      ]),
      tables,
      { region: 'eu' },
      taken,
    );
    expect(others).toEqual([]);
    expect(part).toMatchObject({
      ...taken,
      columns: [
        [3, 0],
        [12_345, 7],
      ],
      typeColumn: [0, 0, 1],
      typeScale: [1, 10_000_000, 0],
      spans: [],
    });
    const names = Array.from(part?.stacks ?? [], (stack) => stackNames(tables, stack));
    expect(names).toEqual(['main:3;work:9', 'main:4;work:9']);
    expect(tables.families[1]).toMatchObject({
      labels: { region: 'eu' },
      types: [{ type: 'samples' }, { name: 'wall' }, { name: 'process_cpu', type: 'cpu' }],
    });
  });

  test('each set of labels is a part, and spans are runs', () => {
    const tables = new SampleTables();
    const span = { span_id: '00000000000000aa', trace_id: '000000000000000000000000000000bb' };
    const value = [1, 10_000_000, 5];
    const parts = timeParts(
      profile([
        { stack: [1], value, labels: { endpoint: '/a' } },
        { stack: [2, 1], value, labels: { ...span, endpoint: '/a' } },
        { stack: [1], value },
        { stack: [2, 1], value, labels: { ...span, endpoint: '/a' } },
        { stack: [1], value, labels: { span_id: 'wrong' } },
      ]),
      tables,
      {},
      taken,
    );
    const shown = parts.map(({ labels = [], stacks, spans }) => ({
      labels: labels.map((pair) => pair.map((number) => tables.texts[number])),
      entries: stacks.length,
      spans,
    }));
    expect(shown).toEqual([
      {
        labels: [['endpoint', '/a']],
        entries: 3,
        spans: [{ spanId: span.span_id, traceId: span.trace_id, entries: 2 }],
      },
      { labels: [], entries: 2, spans: [] },
    ]);
  });

  test('too many sets of labels are cut, no sample is lost', () => {
    const tables = new SampleTables();
    const samples = Array.from({ length: 300 }, (_, index) => ({
      stack: [1],
      value: [1, 10_000_000, 0],
      labels: { id: String(index) },
    }));
    const parts = timeParts(profile(samples), tables, {}, taken);
    expect(parts).toHaveLength(LABEL_SETS_MAX + 1);
    expect(parts.reduce((sum, { stacks }) => sum + stacks.length, 0)).toBe(300);
  });

  test.each([
    ['(anonymous:L#16:C#55)', 'file:///srv/shop.mjs', '(anonymous shop.mjs:16:55)'],
    ['(anonymous:L#16:C#55)', 'C:\\srv\\shop.mjs', '(anonymous shop.mjs:16:55)'],
    ['', '/srv/shop.mjs', '(anonymous shop.mjs:7)'],
    ['(anonymous:L#16:C#55)', '', '(anonymous)'],
    ['(idle)', '', '(idle)'],
    ['anonymous', 'a.js', 'anonymous'],
  ])('the function %j of %j is shown as %j', (name, file, shown) => {
    const tables = new SampleTables();
    const only = {
      ...profile([{ stack: [1], value: [1, 1] }]),
      location: [{ id: 1, line: [line(1, 7)] }],
      function: [{ id: 1, name: text(name), filename: text(file) }],
    };
    const [part] = heapParts(only, tables, {}, taken);
    expect(stackNames(tables, part?.stacks[0] ?? 0)).toBe(`${shown}:7`);
  });

  test('memory has objects and bytes', () => {
    const tables = new SampleTables();
    const parts = heapParts(profile([{ stack: [3, 1], value: [2, 4_096] }]), tables, {}, taken);
    expect(parts).toMatchObject([{ columns: [[2], [4_096]] }]);
    expect(stackNames(tables, parts[0]?.stacks[0] ?? 0)).toBe('main:3;(anonymous):0');
  });
});
