import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { cliCommand, curlCommand, graphCall, quoted } from '../../src/page/commands.ts';
import {
  formatChange,
  formatPoints,
  formatShare,
  formatSpan,
  formatValue,
  readType,
} from '../../src/page/format.ts';
import { notesOf } from '../../src/page/notes.ts';
import { aligned, axisMarks, halves, RANGES, stepFor, within } from '../../src/page/span.ts';
import {
  decodeState,
  encodeState,
  FLOORS,
  FRESH,
  rangeSpan,
  selectorOf,
  type PageState,
} from '../../src/page/state.ts';

const span = fc
  .tuple(fc.nat({ max: 2e12 }), fc.integer({ min: 1, max: 1e10 }))
  .map(([fromMs, length]) => ({ fromMs, toMs: fromMs + length }));

const states: fc.Arbitrary<PageState> = fc.record({
  service: fc.option(fc.string({ unit: 'grapheme' }), { nil: undefined }),
  type: fc.string(),
  filter: fc.string({ unit: 'grapheme' }),
  range: fc.oneof(fc.constantFrom(...Object.keys(RANGES)), span),
  view: fc.constantFrom('flame', 'diff'),
  span: fc.option(span, { nil: undefined }),
  base: fc.option(span, { nil: undefined }),
  find: fc.string({ unit: 'grapheme' }),
  zoom: fc.nat({ max: 0xffffffff }).map((hash) => hash.toString(16)),
  floor: fc.constantFrom(...FLOORS),
  sort: fc.constantFrom('self', 'total'),
});

describe('the state of the page', () => {
  test('survives its address', () => {
    fc.assert(
      fc.property(states, (state) => {
        expect(decodeState(`#${encodeState(state)}`)).toEqual(state);
      }),
    );
  });

  test('a fresh page has an empty address', () => {
    expect(encodeState(FRESH)).toBe('');
    expect(decodeState('')).toEqual(FRESH);
  });

  test('nonsense in an address is left out', () => {
    const text = '#range=2y&view=tree&span=9-3&base=x&zoom=zz&floor=7&sort=name&__proto__=1';
    expect(decodeState(text)).toEqual(FRESH);
    expect(decodeState('#range=toString')).toEqual(FRESH);
  });

  test('any text is read without an error', () => {
    fc.assert(fc.property(fc.string(), (text) => void decodeState(text)));
  });

  test('a selector quotes the service and takes matchers with and without braces', () => {
    const named = { ...FRESH, service: 'a"b\\' };
    expect(selectorOf(named)).toBe(String.raw`{service_name="a\"b\\"}`);
    expect(selectorOf({ ...named, service: 's', filter: ' {x="y"} ' })).toBe(
      '{service_name="s",x="y"}',
    );
    expect(selectorOf({ ...FRESH, service: '' })).toBe('{}');
  });
});

describe('time', () => {
  test('a timeline has a readable number of steps, all of them whole', () => {
    fc.assert(
      fc.property(span, (any) => {
        const stepMs = stepFor(any.toMs - any.fromMs);
        const whole = aligned(any, stepMs);
        const steps = (whole.toMs - whole.fromMs) / stepMs;
        expect(Number.isInteger(steps) && steps >= 1 && steps <= 131).toBe(true);
        expect(whole.toMs).toBeGreaterThanOrEqual(any.toMs);
        expect(aligned(whole, stepMs)).toEqual(whole);
        const [first, second] = halves(whole, stepMs);
        expect(first.fromMs).toBe(whole.fromMs);
        expect(second.toMs).toBe(whole.toMs);
        expect(axisMarks(whole, 10).length).toBeLessThanOrEqual(12);
      }),
    );
  });

  test('the last hour is an hour', () => {
    const whole = aligned(rangeSpan('1h', 1_000_000_123), stepFor(3_600_000));
    expect(whole.toMs - whole.fromMs).toBe(3_600_000);
  });

  test('a part is cut to the whole', () => {
    const whole = { fromMs: 10, toMs: 20 };
    expect(within({ fromMs: 5, toMs: 15 }, whole)).toEqual({ fromMs: 10, toMs: 15 });
    expect(within({ fromMs: 20, toMs: 30 }, whole)).toBeUndefined();
    expect(within(undefined, whole)).toBeUndefined();
  });
});

describe('values', () => {
  test.each([
    [0, 'nanoseconds', '0'],
    [1_250_000_000, 'nanoseconds', '1.25 s'],
    [999, 'nanoseconds', '999 ns'],
    [90e9, 'nanoseconds', '1.50 min'],
    [3 * 1024 ** 2, 'bytes', '3 MiB'],
    [9_999, 'count', '9999'],
    [12_345, 'count', '12.3 k'],
    [1_000_000, 'samples', '1 M'],
    [0.5, 'bytes', '0.50 B'],
    [100, 'objects', '100'],
  ])('%d %s reads %s', (value, unit, text) => {
    expect(formatValue(value, unit)).toBe(text);
  });

  test('shares and changes', () => {
    expect(formatShare(0.1234)).toBe('12.3 %');
    expect(formatShare(0.00001)).toBe('< 0.01 %');
    expect(formatShare(0)).toBe('0 %');
    expect(formatPoints(-0.031)).toBe('−3.1 %');
    expect(formatChange(1e9, 'nanoseconds')).toBe('+1 s');
    expect(formatSpan(5_400_000)).toBe('1.50 h');
    expect(readType('memory:inuse_space:bytes:space:bytes')).toEqual({
      label: 'memory · inuse_space',
      unit: 'bytes',
    });
  });

  test('an exact answer has no notes, each loss has one', () => {
    expect(notesOf({ exact: true, profiles: '3' }, 'count')).toEqual([]);
    const losses = {
      foldedValue: '1',
      truncatedValue: '2',
      damagedValue: '3',
      wholeMinutes: '4',
      cutLabelsValue: '5',
      unreadProfiles: '6',
      lostMinutes: '7',
      lostParts: '8',
      saturated: true,
    };
    expect(notesOf(losses, 'count')).toHaveLength(9);
  });
});

describe('commands', () => {
  const state = { ...FRESH, service: "it's", filter: 'region="eu"' };
  const type = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds';
  const now = { fromMs: 1_000, toMs: 2_000 };
  const base = { fromMs: 0, toMs: 1_000 };

  test('the body of curl is the call, quoted for a shell', () => {
    const call = graphCall(state, type, now, base);
    expect(curlCommand(call, 'http://h:1/p')).toBe(
      [
        'curl -s http://h:1/p/tephra.v1.QueryService/Merge',
        "-H 'content-type: application/json'",
        String.raw`-d '{"selection":{"profileType":"${type}","selector":"{service_name=\"it'\''s\",region=\"eu\"}","startMs":"1001","endMs":"2000"}}'`,
      ].join(' \\\n  '),
    );
  });

  test('the command line has both ranges of a diff', () => {
    const text = cliCommand({ ...state, view: 'diff' }, type, now, base, 'http://h:1');
    expect(text.replaceAll(' \\\n ', '')).toBe(
      String.raw`tephra query diff --service 'it'\''s' --selector '{region="eu"}' --type ${type} ` +
        '--from 1970-01-01T00:00:01.001Z --to 1970-01-01T00:00:02.000Z ' +
        '--base-from 1970-01-01T00:00:00.001Z --base-to 1970-01-01T00:00:01.000Z --floor 0.5% --server http://h:1',
    );
  });

  test('a word is quoted unless it is plain', () => {
    expect([quoted('a-b.c'), quoted(''), quoted('$(x)')]).toEqual(['a-b.c', "''", "'$(x)'"]);
  });
});
