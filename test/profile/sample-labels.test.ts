import { describe, expect, test } from '@jest/globals';
import { PprofReader } from '../../src/profile/pprof/read.ts';
import { type LabelSplit, splitByLabels } from '../../src/profile/sample-labels.ts';
import { committedProfile } from './pprof/corpus.ts';
import { WireBuilder } from '../support/wire-builder.ts';

/** A profile whose samples have these labels; a number as value makes a numeric label. */
function split(samples: [string, string | number][][], setsMax?: number): LabelSplit {
  const b = new WireBuilder();
  const strings = [''];
  // Each text gets a string of its own, so that equal texts have several indices.
  const string = (text: string): number => strings.push(text) - 1;
  b.message(1, () => {});
  b.message(4, (l) => l.int(1, 1));
  for (const labels of samples) {
    b.message(2, (s) => {
      s.packed(1, [1]).packed(2, [1]);
      for (const [key, value] of labels) {
        s.message(3, (l) =>
          typeof value === 'number'
            ? l.int(1, string(key)).int(3, value)
            : l.int(1, string(key)).int(2, string(value)),
        );
      }
    });
  }
  strings.forEach((text) => b.text(6, text));
  return splitByLabels(new PprofReader().read(b.finish()), setsMax);
}

/** Groups as `labels: samples`. */
function groupsOf({ groups }: LabelSplit): string[] {
  return groups.map(({ labels, samples }) => {
    const set = labels.map(([name, value]) => `${name}=${value}`).join(',');
    return `{${set}}: ${samples === undefined ? 'all' : [...samples].join(' ')}`;
  });
}

const SPAN = '0123456789abcdef';
const TRACE = '0123456789ABCDEF0123456789abcdef';

describe('samples', () => {
  test('without labels are one group of all', () => {
    const none = split([[], []]);
    expect(groupsOf(none)).toEqual(['{}: all']);
    expect(none.spanOf).toBeUndefined();
  });

  test('that do not exist are no group', () => {
    expect(groupsOf(split([]))).toEqual([]);
  });

  test('with numeric labels only are one group of all', () => {
    expect(groupsOf(split([[['bytes', 16]], [['bytes', 32]]]))).toEqual(['{}: all']);
  });

  test('are grouped by their set of texts, whatever the order and the string', () => {
    const samples: [string, string | number][][] = [
      [
        ['b', '2'],
        ['a', '1'],
      ],
      [],
      [
        ['a', '1'],
        ['n', 5],
        ['b', '2'],
      ],
      [['a', '1']],
    ];
    expect(groupsOf(split(samples))).toEqual(['{}: 1', '{a=1,b=2}: 0 2', '{a=1}: 3']);
  });

  test('that all have one set are one group of all', () => {
    expect(groupsOf(split([[['a', '1']], [['a', '1']]]))).toEqual(['{a=1}: all']);
  });

  test('keep the first of a name that comes twice', () => {
    expect(
      groupsOf(
        split([
          [
            ['a', '1'],
            ['a', '2'],
          ],
        ]),
      ),
    ).toEqual(['{a=1}: all']);
  });

  test('do not set names of the server, or names that cannot be stored', () => {
    expect(
      groupsOf(
        split([
          [
            ['__name__', 'x'],
            ['a\n', 'x'],
            ['n'.repeat(2_000), 'x'],
          ],
        ]),
      ),
    ).toEqual(['{}: all']);
  });

  test('have values of at most the bytes that a label may have', () => {
    const { groups } = split([[['a', 'é'.repeat(3_000)]]]);
    expect(groups[0]?.labels[0]?.[1]).toBe('é'.repeat(1_024));
  });

  test('have span and trace ids beside their labels', () => {
    const result = split([
      [
        ['span_id', SPAN],
        ['handler', '/a'],
      ],
      [],
      [
        ['profile_id', SPAN],
        ['trace_id', TRACE],
      ],
      [
        ['span_id', SPAN],
        ['handler', '/b'],
      ],
      [
        ['span_id', 'no span'],
        ['span_name', 'GET'],
      ],
    ]);
    expect(groupsOf(result)).toEqual([
      '{}: 1 2',
      '{handler=/a}: 0',
      '{handler=/b}: 3',
      '{span_name=GET}: 4',
    ]);
    const spans = [...(result.spanOf ?? [])].map((span) => result.spans[span]);
    const bare = { spanId: SPAN, traceId: '' };
    expect(spans).toEqual([
      bare,
      undefined,
      { spanId: SPAN, traceId: TRACE.toLowerCase() },
      bare,
      undefined,
    ]);
  });

  test('of sets beyond the limit lose their labels, and say so', () => {
    const samples = Array.from({ length: 10 }, (_, i): [string, string][] => [['a', `${i % 5}`]]);
    const result = split(samples, 3);
    expect(groupsOf(result)).toEqual([
      '{a=0}: 0 5',
      '{a=1}: 1 6',
      '{a=2}: 2 7',
      '{__cut__=sample_labels}: 3 4 8 9',
    ]);
    expect(result.foldedSets).toBe(2);
    expect(split(samples, 5).foldedSets).toBe(0);
  });

  test('of a real profile are all in exactly one group', () => {
    const columns = new PprofReader().read(committedProfile('go.cpu.labels'));
    const { groups, spans } = splitByLabels(columns);
    const all = groups.flatMap(({ samples }) => [...(samples ?? [])]);
    expect(all.toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: columns.sampleCount }, (_, i) => i),
    );
    expect(groups.length).toBeGreaterThan(1);
    expect(spans.length).toBeGreaterThan(1);
  });
});
