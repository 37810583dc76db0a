import { encodeBlock } from '../../../src/storage/block/encode.ts';
import { dataDriven } from '../../golden.ts';
import {
  annotateEntries,
  annotateFooter,
  annotateHeader,
  Annotator,
  directoryOffset,
} from '../annotate.ts';
import { BLOCK } from '../fixtures.ts';

interface Family {
  readonly types: number;
  readonly minutes: readonly { readonly minute: number; readonly size: number }[];
}

function walkFamilies(a: Annotator): Family[] {
  a.varint('base incarnation');
  a.varint('base seq');
  const count = a.varint('families');
  const families: Family[] = [];
  for (let f = 0; f < count; f++) {
    const types = a.varint(`family ${f}: series`);
    for (let t = 0; t < types; t++) a.zigzag('  series: +');
    for (let t = 0; t < types; t++) {
      a.varint(`  type ${t}: usual column`);
      a.varintBig(`  type ${t}: usual grain`);
    }
    const minuteCount = a.varint('  minutes');
    const minutes: { minute: number; size: number }[] = [];
    let minute = -1;
    for (let m = 0; m < minuteCount; m++) {
      minute += 1 + a.varint('  minute: gap');
      a.lines.push(`${a.lines.pop()} -> minute ${minute}`);
      minutes.push({ minute, size: a.varint('  bytes of its column') });
    }
    families.push({ types, minutes });
  }
  return families;
}

function walkColumn(a: Annotator, types: number, end: number): void {
  if (a.u8('flags') === 1) {
    for (let t = 0; t < types; t++) {
      a.varint(`type ${t}: column`);
      a.varintBig(`type ${t}: grain`);
    }
  }
  const columns = a.varint('columns');
  for (let c = 0; c < columns; c++) a.varintBig(`column ${c}: sum of ticks`);
  const pushes = a.varint('pushes');
  a.varint('bytes of the list');
  for (let p = 0; p < pushes; p++) {
    a.varint(`push ${p}: offset, ms: +`);
    const flags = a.u8('  flags');
    if ((flags & 1) !== 0) a.varint('  incarnation');
    if ((flags & 2) !== 0) a.zigzag('  arrival hour: +');
    a.zigzag('  seq: +');
    if ((flags & 4) !== 0) a.varint('  index');
    if (pushes > 1) for (let c = 0; c < columns; c++) a.varintBig(`  ticks of column ${c}`);
  }
  annotateEntries(a, end);
}

function walkDirectory(a: Annotator, sectionBytes: readonly Uint8Array[]): void {
  a.title('directory');
  a.varint('day since 1970');
  a.varint('shard');
  a.u24('hours, bit h = hour h');
  const sections = a.varint('sections');
  for (let s = 0; s < sections; s++) {
    a.varint(`section ${s}: bytes`);
    a.crc(`section ${s}`, sectionBytes[s] as Uint8Array);
    a.text('tenant');
    a.text('service');
    a.varint('first minute');
    a.varint('last minute: +');
    const hours = a.varint('hours');
    for (let h = 0; h < hours; h++) {
      a.u8('hour');
      const series = a.varint('  series');
      for (let i = 0; i < series; i++) a.varint('  series: gap');
    }
  }
}

dataDriven('test/storage/testdata/block.txt', () => {
  const bytes = encodeBlock(BLOCK);
  const a = new Annotator(bytes);
  annotateHeader(a);
  const sections: Uint8Array[] = [];
  for (let s = 0; s < BLOCK.sections.length; s++) {
    const { at } = a;
    a.title(`section ${s}`);
    for (const { types, minutes } of walkFamilies(a)) {
      for (const { minute, size } of minutes) {
        a.title(`column of minute ${minute}`);
        walkColumn(a, types, a.at + size);
      }
    }
    sections.push(bytes.subarray(at, a.at));
  }
  a.expectAt(directoryOffset(bytes));
  walkDirectory(a, sections);
  annotateFooter(a);
  return a.lines;
});
