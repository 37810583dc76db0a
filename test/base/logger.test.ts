import { describe, expect, test } from '@jest/globals';
import { createLogger } from '../../src/base/logger.ts';

const clock = { nowMs: () => Date.UTC(2026, 7, 1, 12), monotonicMs: () => 0 };

function logged(pretty: boolean): string {
  let text = '';
  const sink = { write: (line: string) => (text += line) };
  const log = createLogger({ level: 'info', sink, clock, pretty });
  log.debug('not shown');
  log.child({ shard: 3 }).warn('the disk is slow', { ms: 12, volume: 'raw' });
  return text;
}

describe('the log', () => {
  test('is one JSON object a line', () => {
    expect(logged(false)).toBe(
      '{"level":"warn","time":"2026-08-01T12:00:00.000Z","shard":3,"ms":12,"volume":"raw",' +
        '"msg":"the disk is slow"}\n',
    );
  });

  test('is short for people', () => {
    expect(logged(true)).toBe('12:00:00 warn  the disk is slow  shard=3  ms=12  volume=raw\n');
  });
});
