import { describe, expect, test } from '@jest/globals';
import { TephraError } from '../../src/base/errors.ts';
import {
  nameOfPprof,
  parseAppName,
  seriesName,
  textProfileType,
} from '../../src/profile/ingest-naming.ts';

const reasonOf = (run: () => unknown): string => {
  try {
    run();
  } catch (thrown) {
    return TephraError.from(thrown).reason;
  }
  return 'accepted';
};

describe('the name of an application', () => {
  test.each<[string, string, [string, string][]]>([
    ['app', 'app', []],
    ['my.app-1/x_y', 'my.app-1/x_y', []],
    ['app{}', 'app', []],
    ['app.cpu{env=prod}', 'app.cpu', [['env', 'prod']]],
    [
      'app{b=2,a=1,}',
      'app',
      [
        ['b', '2'],
        ['a', '1'],
      ],
    ],
    [
      'app{ a = 1 , b = x y }',
      'app',
      [
        ['a', '1'],
        ['b', 'x y'],
      ],
    ],
    [
      'app{otel.scope.name=com.grafana.pyroscope/nodejs}',
      'app',
      [['otel.scope.name', 'com.grafana.pyroscope/nodejs']],
    ],
    [
      'app{a=b=c,d=}',
      'app',
      [
        ['a', 'b=c'],
        ['d', ''],
      ],
    ],
    ['app{__session_id__=1234}', 'app', [['__session_id__', '1234']]],
  ])('%s parses', (text, app, labels) => {
    expect(parseAppName(text)).toEqual({ app, labels });
  });

  test.each([
    ['', 'invalid_argument'],
    ['{a=b}', 'invalid_argument'],
    ['app name', 'invalid_argument'],
    ['app{a=b', 'invalid_argument'],
    ['app{a=b}x', 'invalid_argument'],
    ['app{a}', 'invalid_argument'],
    ['app{=b}', 'invalid_label_name'],
    ['app{a\0=b}', 'invalid_label_name'],
  ])('%j is refused as %s', (text, reason) => {
    expect(reasonOf(() => parseAppName(text))).toBe(reason);
  });
});

describe('the type of a text profile', () => {
  test.each([
    ['app', 'app process_cpu:cpu:nanoseconds:cpu:nanoseconds 10000000'],
    ['my.app.cpu', 'my.app process_cpu:cpu:nanoseconds:cpu:nanoseconds 10000000'],
    ['app.itimer', 'app process_cpu:cpu:nanoseconds:cpu:nanoseconds 10000000'],
    ['app.wall', 'app wall:wall:nanoseconds:cpu:nanoseconds 10000000'],
    ['app.alloc_space', 'app memory:alloc_space:bytes:: 1'],
    ['app.inuse_objects', 'app memory:inuse_objects:count:: 1'],
    ['app.goroutines', 'app goroutine:goroutines:count:: 1'],
    ['app.mutex_count', 'app mutex:contentions:count:: 1'],
    ['app.block_duration', 'app block:delay:nanoseconds:: 1'],
    ['app.lock_count', 'app block:contentions:count:: 1'],
    ['app.live', 'app memory:live:count:: 1'],
    ['app.exceptions', 'app exceptions:samples:count:: 1'],
  ])('of %s is %s', (name, expected) => {
    const { app, name: metric, sampleType, periodType, unitScale } = textProfileType(name);
    const id = [metric, sampleType.type, sampleType.unit, periodType.type, periodType.unit].join(
      ':',
    );
    expect(`${app} ${id} ${unitScale}`).toBe(expected);
  });

  test('has a whole period at any rate', () => {
    expect(textProfileType('a.cpu', 17).period).toBe(58_823_529n);
    expect(textProfileType('a.cpu', 0).period).toBe(10_000_000n);
    expect(textProfileType('a.cpu', Number.NaN).period).toBe(10_000_000n);
    expect(textProfileType('a.alloc_space', 50).period).toBe(0n);
  });

  test('is refused where the end of the name is unknown', () => {
    expect(reasonOf(() => textProfileType('my.service'))).toBe('invalid_profile_type');
    expect(reasonOf(() => textProfileType('my.constructor'))).toBe('invalid_profile_type');
  });
});

describe('the name of a pprof', () => {
  const types = (text: string): { type: string; unit: string }[] =>
    text.split(' ').map((type) => ({ type, unit: 'count' }));
  test.each([
    ['samples cpu', 'process_cpu'],
    ['sample wall', 'wall'],
    ['sample wall cpu', 'wall'],
    ['alloc_objects alloc_space inuse_objects inuse_space', 'memory'],
    ['objects space', 'memory'],
    ['contentions delay', 'mutex'],
    ['goroutines', 'goroutines'],
    ['goroutine', 'goroutine'],
    ['threadcreate', 'threadcreate'],
    ['', 'profile'],
  ])('with types %j is %s', (text, name) => {
    expect(nameOfPprof(types(text))).toBe(name);
  });

  test('follows the display names', () => {
    const names = new Map([
      ['contentions', 'block_count'],
      ['delay', 'block_duration'],
    ]);
    expect(nameOfPprof(types('contentions delay'), names)).toBe('block');
  });

  test('of one series loses the prefix of the delta profiler, and CPU beside wall is CPU', () => {
    expect(seriesName('godeltaprof_memory', 'alloc_space')).toBe('memory');
    expect(seriesName('wall', 'cpu')).toBe('process_cpu');
    expect(seriesName('wall', 'wall')).toBe('wall');
  });
});
