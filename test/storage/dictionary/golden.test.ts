import { expect, test } from '@jest/globals';
import { inflateRawSync } from 'node:zlib';
import { NO_LENGTHS, type TableLengths } from '../../../src/storage/dictionary/lengths.ts';
import { encodeSegment } from '../../../src/storage/dictionary/segment.ts';
import { dataDriven } from '../../golden.ts';
import {
  annotateFooter,
  annotateHeader,
  annotateLengths,
  Annotator,
  directoryOffset,
} from '../annotate.ts';
import { filled, type PlainFrame, put } from './model.ts';

const HAS_FUNCTION = 4;
const HAS_COLUMN = 8;
const HAS_MAPPING = 16;

const frame = (name: string, line: number, more: Partial<PlainFrame> = {}): PlainFrame => ({
  fn: { name, systemName: name, file: 'm.go', startLine: 1 },
  line,
  column: 0,
  mappingFile: '',
  buildId: '',
  address: [0, 0],
  inlined: false,
  ...more,
});

/** Every kind of row once: two stacks that share a root, an inlined frame, one without symbols. */
const DICTIONARY = filled([
  { stack: [frame('f', 2), frame('g', 3, { column: 9, inlined: true })] },
  { stack: [frame('f', 2), frame('', 0, { fn: undefined, mappingFile: 'l', address: [16, 1] })] },
  { series: { labels: [['a', 'b']], type: 'cpu' } },
]);

/** Walks a plain slice of rows [from, to). */
function walkSlice(a: Annotator, from: TableLengths, to: TableLengths): void {
  const rows = (table: keyof TableLengths): number => to[table] - from[table];
  a.u8('codec');
  const sizes: number[] = [];
  for (let i = from.strings; i < to.strings; i++) sizes.push(a.varint(`string ${i}: bytes`));
  sizes.forEach((size, i) => {
    const text = Buffer.from(a.bytes.subarray(a.at, a.at + size)).toString();
    a.raw(size, `string ${from.strings + i}:`, JSON.stringify(text));
  });
  const column = (table: keyof TableLengths, name: string, zigzag: boolean): void => {
    for (let i = from[table]; i < to[table]; i++) {
      if (zigzag) a.zigzag(`${table} ${i}: ${name} +`);
      else a.varint(`${table} ${i}: ${name}`);
    }
  };
  column('functions', 'name', true);
  column('functions', 'system name - name', true);
  column('functions', 'file', true);
  column('functions', 'start line', false);
  const flags: number[] = [];
  for (let i = 0; i < rows('frames'); i++) flags.push(a.u8(`frames ${from.frames + i}: flags`));
  const where = (name: string, mask: number, wanted: number, zigzag: boolean): void => {
    flags.forEach((flag, i) => {
      if ((flag & mask) !== wanted) return;
      if (zigzag) a.zigzag(`frames ${from.frames + i}: ${name} +`);
      else a.varint(`frames ${from.frames + i}: ${name}`);
    });
  };
  where('function', HAS_FUNCTION, HAS_FUNCTION, true);
  where('line', HAS_FUNCTION, HAS_FUNCTION, false);
  where('column', HAS_COLUMN, HAS_COLUMN, false);
  where('mapping file', HAS_MAPPING, HAS_MAPPING, true);
  where('build id', HAS_MAPPING, HAS_MAPPING, true);
  where('address, low', HAS_FUNCTION, 0, true);
  where('address, high', HAS_FUNCTION, 0, true);
  column('nodes', 'id - parent', false);
  column('nodes', 'frame', false);
  column('stacks', 'node', true);
  for (let i = from.series; i < to.series; i++) {
    const labels = a.varint(`series ${i}: labels`);
    for (let l = 0; l < labels; l++) {
      a.text('name');
      a.text('value');
    }
    for (const part of ['name', 'type', 'unit', 'period type', 'period unit']) a.text(part);
  }
  a.expectAt(a.bytes.byteLength);
}

dataDriven('test/storage/testdata/dictionary.txt', ({ command, args }) => {
  const { lengths } = DICTIONARY;
  if (command === 'slice') {
    const from = args['rows'] === 'all' ? NO_LENGTHS : lengths;
    const a = new Annotator(DICTIONARY.encodeSlice(from, lengths));
    walkSlice(a, from, lengths);
    return a.lines;
  }
  const parts = ['x', 'y'].map((service) => ({
    tenant: 't',
    service,
    from: lengths,
    to: { ...lengths, strings: lengths.strings + 1 },
    slice: Uint8Array.of(0, 1, service.charCodeAt(0)),
  }));
  const bytes = encodeSegment(parts);
  const a = new Annotator(bytes);
  annotateHeader(a);
  for (const [i, { slice }] of parts.entries()) a.raw(slice.byteLength, `slice ${i}`);
  a.expectAt(directoryOffset(bytes));
  a.title('directory');
  a.varint('slices');
  for (const [i, { slice }] of parts.entries()) {
    a.varint(`slice ${i}: bytes`);
    a.crc(`slice ${i}`, slice);
    a.text('tenant');
    a.text('service');
    annotateLengths(a, 'from');
    annotateLengths(a, 'to');
  }
  annotateFooter(a);
  return a.lines;
});

test('a deflated slice is its size and the same payload', () => {
  const dictionary = filled([]);
  for (let line = 0; line < 100; line++) put(dictionary, { stack: [frame('function', line)] });
  const slice = dictionary.encodeSlice(NO_LENGTHS, dictionary.lengths);
  expect(slice[0]).toBe(1);
  const a = new Annotator(slice);
  a.u8('codec');
  const size = a.varint('bytes');
  const payload = inflateRawSync(slice.subarray(a.at));
  expect(payload.byteLength).toBe(size);
  walkSlice(new Annotator(Uint8Array.from([0, ...payload])), NO_LENGTHS, dictionary.lengths);
});
