import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { fromHex, hex } from '../../../src/base/bytes.ts';
import {
  decodeHeader,
  encodeHeader,
  headerKey,
  keyedCrc,
  pageKey,
  splitPages,
} from '../../../src/storage/blob-store/level/pages.ts';
import {
  decodeRoot,
  encodeRoot,
  rootKey,
  tokenOf,
} from '../../../src/storage/blob-store/level/root-record.ts';
import { encodeMarker } from '../../../src/storage/blob-store/level/volume-marker.ts';
import { decodeMarks, encodeMarks } from '../../../src/storage/ledger/marks.ts';
import {
  decodeStoreFile,
  encodeStoreFile,
} from '../../../src/storage/data-directory/store-file.ts';

const STORE_ID = '000102030405060708090a0b0c0d0e0f';
const KEY = 'raw/20260314-06/f/20260314-09/03/0000000001/0000000042';
const ROOT = 'minutes/20260314/r/16/03';
const BLOB = new Uint8Array(65_536 + 3).fill(7);
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');

// Frozen: data of format 1 is read for ever. A change is a new format number and more lines here.
const GOLDEN = new Map(
  readFileSync(join(import.meta.dirname, '../testdata/volume.golden'), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split(' = ') as [string, string]),
);

describe('the format of a volume', () => {
  it('keeps a blob under these keys and in this header', () => {
    const pages = splitPages(KEY, BLOB);
    expect([headerKey(KEY), pageKey(KEY, 0), pageKey(KEY, 1)]).toEqual([
      GOLDEN.get('header key'),
      GOLDEN.get('page key 0 of format 2'),
      GOLDEN.get('page key 1 of format 2'),
    ]);
    const crcs = pages.map(({ crc }) => crc);
    expect(hex(encodeHeader(KEY, BLOB.byteLength, crcs))).toBe(GOLDEN.get('header of format 2'));
    expect(decodeHeader(KEY, fromHex(GOLDEN.get('header of format 2') ?? ''))).toEqual({
      folder: 'P',
      size: 65_539,
      pageBytes: 65_536,
      crcs,
    });
    expect(hex(encodeHeader(KEY, 0, []))).toBe(GOLDEN.get('empty header of format 2'));
  });

  it('finds the pages of format 1', () => {
    const names = [0, 1].map((index) => pageKey(KEY, index, 'p'));
    expect(names).toEqual([GOLDEN.get('page key 0'), GOLDEN.get('page key 1')]);
    expect(decodeHeader(KEY, fromHex(GOLDEN.get('header') ?? ''))).toEqual({
      folder: 'p',
      size: 65_539,
      pageBytes: 65_536,
      crcs: [
        keyedCrc(names[0] ?? '', BLOB.subarray(0, 65_536)),
        keyedCrc(names[1] ?? '', BLOB.subarray(65_536)),
      ],
    });
    expect(decodeHeader(KEY, fromHex(GOLDEN.get('empty header') ?? ''))).toMatchObject({ size: 0 });
  });

  it('keeps a root in this record', () => {
    const root = {
      version: 300,
      commit: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8),
      bytes: fromHex('aabb'),
    };
    expect(rootKey(ROOT)).toBe(GOLDEN.get('root key'));
    expect(hex(encodeRoot(rootKey(ROOT), root))).toBe(GOLDEN.get('root'));
    expect(decodeRoot(rootKey(ROOT), fromHex(GOLDEN.get('root') ?? ''))).toEqual(root);
    expect(tokenOf(root)).toBe(GOLDEN.get('token'));
  });

  it('marks a volume with this file', () => {
    const marker = encodeMarker({ storeId: STORE_ID, kind: 'raw', period: '20260314-06' });
    expect(text(marker)).toBe(`${GOLDEN.get('volume.json')}\n`);
  });

  it('refuses a newer header and root by name', () => {
    const newer = (name: string): Uint8Array => fromHex(GOLDEN.get(name) ?? '');
    expect(() => decodeHeader(KEY, newer('header of format 3'))).toThrow(/unknown_format_version/);
    expect(() => decodeRoot(rootKey(ROOT), newer('root of format 2'))).toThrow(
      /unknown_format_version/,
    );
  });
});

describe('the format of a data directory', () => {
  it('has this store.json', () => {
    const file = { storeId: STORE_ID, incarnation: 3 };
    expect(text(encodeStoreFile(file))).toBe(`${GOLDEN.get('store.json')}\n`);
    expect(decodeStoreFile(Buffer.from(GOLDEN.get('store.json') ?? ''), 'x')).toEqual(file);
  });

  it('has this high-water file', () => {
    const marks = {
      fragments: [
        { incarnation: 3, shard: 0, from: 1, seq: 1 },
        { incarnation: 3, shard: 15, from: 40, seq: 123_456 },
      ],
      roots: [{ name: ROOT, gen: 300 }],
    };
    expect(hex(encodeMarks(marks))).toBe(GOLDEN.get('high-water'));
    expect(decodeMarks(fromHex(GOLDEN.get('high-water') ?? ''))).toEqual(marks);
  });
});
