import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { TephraError } from '../../src/base/errors.ts';
import { compareText } from '../../src/base/text-order.ts';
import { type Label, validateLabels } from '../../src/profile/labels.ts';

const NAME: Label = ['__name__', 'process_cpu'];
const SERVICE: Label = ['service_name', 's'];
const reasonOf = (labels: readonly Label[], surface: 'push' | 'ingest' = 'push'): string => {
  try {
    validateLabels(labels, surface);
  } catch (thrown) {
    return TephraError.from(thrown).reason;
  }
  return 'accepted';
};

describe('labels that a client sends', () => {
  test('are sorted by name in byte order', () => {
    const set = validateLabels(
      [SERVICE, ['😀', '1'], ['\uff5e', '2'], ['a', '3'], ['B', '4'], NAME],
      'push',
    );
    expect(set.map(([name]) => name)).toEqual([
      'B',
      '__name__',
      'a',
      'service_name',
      '\uff5e',
      '😀',
    ]);
  });

  test('without service_name get unknown_service', () => {
    expect(validateLabels([NAME], 'push')).toEqual([NAME, ['service_name', 'unknown_service']]);
    expect(validateLabels([['service_name', '']], 'ingest')).toEqual([
      ['service_name', 'unknown_service'],
    ]);
  });

  test('without a value, and those meant for other servers, are dropped', () => {
    const sent: Label[] = [
      NAME,
      SERVICE,
      ['a', ''],
      ['__session_id__', '1'],
      ['__delta__', 'false'],
      ['__order__', 'x'],
    ];
    expect(validateLabels(sent, 'push')).toEqual([NAME, SERVICE]);
  });

  test.each<[string, Label[]]>([
    ['dotted names', [['otel.scope.name', 'x']]],
    [
      'names in any script',
      [
        ['größe', 'x'],
        ['1a', 'x'],
        ['with space', 'x'],
      ],
    ],
    [
      'internal names of senders',
      [
        ['__otel__', 'true'],
        ['pyroscope_spy', 'gospy'],
      ],
    ],
    [
      'names of properties',
      [
        ['constructor', 'x'],
        ['prototype', 'x'],
        ['__proto__', 'x'],
      ],
    ],
    ['a label named tenant', [['tenant', 'other']]],
    ['values that look like syntax', [['a', '"},{\\\0\n,=']]],
    ['64 labels', Array.from({ length: 62 }, (_, i): Label => [`l${i}`, 'x'])],
    ['the longest name and value', [['n'.repeat(1_024), 'v'.repeat(2_048)]]],
  ])('with %s are stored', (_, labels) => {
    expect(validateLabels([NAME, SERVICE, ...labels], 'push')).toHaveLength(labels.length + 2);
  });

  test.each<[string, Label[], string]>([
    ['no name', [SERVICE], 'missing_labels'],
    ['a metric name that is none', [['__name__', 'a-b']], 'invalid_label_name'],
    ['an empty name', [NAME, ['', 'x']], 'invalid_label_name'],
    ['NUL in a name', [NAME, ['a\0', 'x']], 'invalid_label_name'],
    ['a newline in a name', [NAME, ['a\n', 'x']], 'invalid_label_name'],
    ['half a character in a name', [NAME, ['a\ud800', 'x']], 'invalid_label_name'],
    ['half a character in a value', [NAME, ['a', '\udc00']], 'invalid_utf8'],
    ['a name twice', [NAME, ['a', '1'], ['a', '2']], 'duplicate_label_names'],
    ['a name twice, once without value', [NAME, ['a', '1'], ['a', '']], 'duplicate_label_names'],
    ['a long name', [NAME, ['n'.repeat(1_025), 'x']], 'label_name_too_long'],
    ['a name long in bytes', [NAME, ['é'.repeat(513), 'x']], 'label_name_too_long'],
    ['a long value', [NAME, ['a', 'v'.repeat(2_049)]], 'label_value_too_long'],
    [
      '65 labels',
      [NAME, SERVICE, ...Array.from({ length: 63 }, (_, i): Label => [`l${i}`, 'x'])],
      'max_label_names_per_series',
    ],
    ...[
      '__profile_type__',
      '__type__',
      '__unit__',
      '__period_type__',
      '__period_unit__',
      '__service_name__',
      '__tenant__',
    ].map((name): [string, Label[], string] => [name, [NAME, [name, 'x']], 'reserved_label_name']),
  ])('with %s are refused', (_, labels, reason) => {
    expect(reasonOf(labels)).toBe(reason);
  });

  test('need no __name__ on ingest', () => {
    expect(reasonOf([SERVICE], 'ingest')).toBe('accepted');
  });

  test('compare as their bytes do', () => {
    const text = fc.string({ unit: 'binary', maxLength: 5 });
    fc.assert(
      fc.property(text, text, (a, b) => {
        expect(Math.sign(compareText(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
      }),
    );
  });
});
