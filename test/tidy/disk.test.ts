import { describe, expect, test } from '@jest/globals';
import { diskComplaints } from './disk.ts';
import { readSources } from './source-file.ts';

const IMPORT = "import { readFile } from 'node:fs/promises';";

describe('the disk', () => {
  test('a file that is not listed may not import the file system', () => {
    expect(diskComplaints({ path: 'src/query/a.ts', text: IMPORT })).toHaveLength(1);
    expect(diskComplaints({ path: 'src/query/a.ts', text: "await import('fs');" })).toHaveLength(1);
  });

  test('a store may', () => {
    expect(diskComplaints({ path: 'src/storage/blob-store/level.ts', text: IMPORT })).toEqual([]);
  });

  test('only the listed files of src touch the disk', () => {
    const sources = readSources('src');
    expect(sources.length).toBeGreaterThan(10);
    expect(sources.flatMap(diskComplaints)).toEqual([]);
  });
});
