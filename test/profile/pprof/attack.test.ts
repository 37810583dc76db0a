import { gzipSync } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import { TephraError } from '../../../src/base/errors.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { inflatePayload } from '../../../src/profile/pprof/inflate.ts';
import { PprofReader } from '../../../src/profile/pprof/read.ts';
import { repeated } from '../../support/small-pprof.ts';
import { committedProfile } from './corpus.ts';
import { touchAll } from './plain.ts';

const reader = new PprofReader();

/** Reads everything there is, so that an index that is out of range shows. */
function readAll(bytes: Uint8Array): 'accepted' | 'refused' {
  try {
    touchAll(reader.read(bytes));
    return 'accepted';
  } catch (thrown) {
    if (thrown instanceof TephraError && thrown.reason !== 'internal') return 'refused';
    throw thrown;
  }
}

describe('damaged profiles', () => {
  test.each(['go.threadcreate', 'go.block', 'go.goroutine'])(
    '%s, cut at each byte, is refused or read and nothing else',
    (name) => {
      const bytes = committedProfile(name);
      for (let end = 0; end < bytes.length; end++) readAll(bytes.slice(0, end));
    },
  );

  test('every flipped bit of a small profile is refused or read and nothing else', () => {
    const bytes = committedProfile('go.threadcreate');
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const mutant = bytes.slice();
      mutant[bit >> 3] = (mutant[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      readAll(mutant);
    }
  });

  test('random bytes in real profiles are refused or read and nothing else', () => {
    const random = seededRandom(0x7e9);
    const counts = { accepted: 0, refused: 0 };
    for (const name of ['go.goroutine', 'go.block', 'go.heap']) {
      const bytes = committedProfile(name);
      for (let i = 0; i < 1_500; i++) {
        const mutant = bytes.slice();
        for (let hits = 1 + (random.u32() % 4); hits > 0; hits--) {
          mutant[random.u32() % mutant.length] = random.u32() & 0xff;
        }
        counts[readAll(mutant)]++;
      }
    }
    expect(counts.accepted).toBeGreaterThan(0);
    expect(counts.refused).toBeGreaterThan(0);
  });
});

describe('bombs', () => {
  const head = [0x0a, 0x00, 0x32, 0x00];
  test.each<[string, Uint8Array, string]>([
    ['2 M empty samples', repeated([0x12, 0x00], 2_000_000), 'samples_limit'],
    ['2 M empty functions', repeated([0x2a, 0x00], 2_000_000), 'functions_limit'],
    ['2 M empty locations', repeated([0x22, 0x00], 2_000_000), 'locations_limit'],
    ['2 M empty strings', repeated([0x32, 0x00], 2_000_000), 'strings_limit'],
    ['2 M empty mappings', repeated([0x1a, 0x00], 2_000_000), 'mappings_limit'],
    ['2 M empty sample types', repeated([0x0a, 0x00], 2_000_000), 'sample_types_limit'],
    ['2 M unknown fields', repeated([0x88, 0x7d, 0x00], 2_000_000), 'too_many_fields'],
    [
      '1 M empty samples and 64 types',
      Buffer.concat([
        repeated([0x0a, 0x00], 64),
        repeated([0x12, 0x00], 1_000_000),
        Buffer.of(0x32, 0),
      ]),
      'malformed_profile',
    ],
    // Length 4,000,000, and the packed field in it.
    [
      '4 M packed zero locations',
      Buffer.concat([
        Uint8Array.of(...head, 0x12, 0x85, 0x92, 0xf4, 0x01, 0x0a, 0x80, 0x92, 0xf4, 0x01),
        new Uint8Array(4_000_000),
      ]),
      'stack_depth',
    ],
  ])('%s is refused in no time and with no memory', (_, bomb, reason) => {
    const fresh = new PprofReader();
    const packed = gzipSync(bomb);
    expect(packed.length).toBeLessThan(32_000);
    const inflated = inflatePayload(packed, 64 << 20);
    const memory = process.memoryUsage().arrayBuffers;
    const start = process.cpuUsage();
    let message = '';
    try {
      fresh.read(inflated);
    } catch (thrown) {
      message = TephraError.from(thrown).reason;
    }
    expect(message).toBe(reason);
    // Some milliseconds in truth; decoding them would take seconds.
    expect(process.cpuUsage(start).user).toBeLessThan(2_000_000);
    expect(process.memoryUsage().arrayBuffers - memory).toBeLessThan(1 << 20);
  });
});
