import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { systemClock, systemTimers } from '../../../src/base/clock.ts';
import { systemFileSystem } from '../../../src/base/file-system.ts';
import { systemRandom } from '../../../src/base/random.ts';
import { decodeBlock } from '../../../src/storage/block/decode.ts';
import { decodeOutline, encodeOutline } from '../../../src/storage/dictionary/outline.ts';
import { encodeSegment, openSegment } from '../../../src/storage/dictionary/segment.ts';
import {
  type DataDirectory,
  openDataDirectory,
} from '../../../src/storage/data-directory/data-directory.ts';
import { decodeFragment } from '../../../src/storage/fragment/decode.ts';
import { encodeFragment } from '../../../src/storage/fragment/encode.ts';
import { encodeBlock } from '../../../src/storage/block/encode.ts';
import { decodeRoot } from '../../../src/storage/root/decode.ts';
import { emptyRoot, encodeRoot } from '../../../src/storage/root/encode.ts';
import { digestOf } from '../blob-store/open-level.ts';

const VOLUME = 'raw/20260314-06';
const KEY = `${VOLUME}/f/20260314-06/00/0000000001/0000000001`;

let parent = '';
let path = '';

beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'tephra-formats-'));
  path = join(parent, 'data');
  const directory = await open();
  await directory.level.put(KEY, new Uint8Array(10));
  await directory.close();
});
afterEach(() => rm(parent, { recursive: true, force: true }));

function open(): Promise<DataDirectory> {
  return openDataDirectory({
    path,
    fs: systemFileSystem,
    clock: systemClock,
    timers: systemTimers,
    random: systemRandom,
    ballastBytes: 0,
  });
}

const VERSIONS = [
  ['the previous format', (text: string) => text.replace('"format":1', '"format":0')],
  ['the next format', (text: string) => text.replace('"format":1', '"format":2')],
  ['a format that is no number', (text: string) => text.replace('"format":1', '"format":"1"')],
  ['garbage', () => 'garbage'],
  ['nothing', () => ''],
] as const;

describe('a data directory of another format', () => {
  test.each(VERSIONS)('with %s in store.json is refused untouched', async (_what, change) => {
    const file = join(path, 'store.json');
    await writeFile(file, change(await readFile(file, 'utf8')));
    const before = await digestOf(path);
    await expect(open()).rejects.toThrow(/unknown_format_version|data_dir_unusable/);
    expect(await digestOf(path)).toBe(before);
  });

  test.each(VERSIONS)(
    'with %s in a volume serves the others, and leaves it',
    async (_what, change) => {
      const folder = join(path, 'volumes', VOLUME);
      const file = join(folder, 'volume.json');
      await writeFile(file, change(await readFile(file, 'utf8')));
      const before = await digestOf(folder);
      const directory = await open();
      await expect(directory.store.get(KEY)).rejects.toThrow(
        /unknown_format_version|volume_quarantined/,
      );
      expect(directory.findings().map(({ what }) => what)).toContain(VOLUME);
      await directory.store.put('minutes/20260314/b/00/aa', new Uint8Array(3));
      await directory.close();
      expect(await digestOf(folder)).toBe(before);
      expect(await readdir(join(path, 'volumes/minutes'))).toEqual(['20260314']);
    },
  );
});

describe('a blob of another format', () => {
  const address = { incarnation: 1, seq: 1, shard: 0, arrivalHourMs: 0 };
  const blobs: [string, Uint8Array, (bytes: Uint8Array) => unknown][] = [
    ['fragment', encodeFragment({ ...address, skipped: [], sections: [] }), decodeFragment],
    ['block', encodeBlock({ dayMs: 0, shard: 0, hours: [], sections: [] }), decodeBlock],
    ['dictionary segment', encodeSegment([]), openSegment],
    ['segment outline', encodeOutline([]), decodeOutline],
    ['root', encodeRoot(emptyRoot()), decodeRoot],
  ];

  test.each(blobs)(
    '%s: next is refused by name, previous and garbage as damage',
    (what, bytes, decode) => {
      const at = (version: number): Uint8Array => {
        const other = bytes.slice();
        other[4] = version;
        return other;
      };
      expect(() => decode(bytes)).not.toThrow();
      expect(() => decode(at(2))).toThrow(new RegExp(`unknown_format_version: ${what}`));
      expect(() => decode(at(0))).toThrow(/corrupt_block|unknown_format_version/);
      expect(() => decode(new Uint8Array(100).fill(7))).toThrow(/corrupt_block/);
      expect(() => decode(new Uint8Array(0))).toThrow(/corrupt_block/);
    },
  );
});
