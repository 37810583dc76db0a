import { encodeFragment } from '../../../src/storage/fragment/encode.ts';
import { dataDriven } from '../../golden.ts';
import {
  annotateEntries,
  annotateFooter,
  annotateHeader,
  annotateLengths,
  Annotator,
  directoryOffset,
} from '../annotate.ts';
import { FRAGMENT } from '../fixtures.ts';

/** Walks the directory and gives how many pushes each section has. */
function walkDirectory(a: Annotator, sectionBytes: readonly Uint8Array[]): void {
  a.title('directory');
  a.varint('incarnation');
  a.varint('seq');
  a.varint('shard');
  a.varint('arrival hour since 1970');
  const skipped = a.varint('skipped');
  for (let i = 0; i < skipped; i++) a.varint('  seq');
  const sections = a.varint('sections');
  for (let s = 0; s < sections; s++) {
    a.varint(`section ${s}: bytes`);
    a.crc(`section ${s}`, sectionBytes[s] as Uint8Array);
    a.text('tenant');
    a.text('service');
    a.varint('day since 1970');
    a.varint('epoch');
    annotateLengths(a, 'seed');
    annotateLengths(a, 'from');
    annotateLengths(a, 'to');
    a.varint('first start, ms of the day');
    a.varint('last start: +');
    const pushes = a.varint('pushes');
    for (let i = 0; i < pushes; i++) a.raw(16, `key of push ${i}`);
  }
}

function walkPush(a: Annotator, push: number): void {
  a.title(`push ${push}`);
  const tag = a.u8('tag of the profile id');
  if (tag === 1) a.raw(16, 'profile id, a UUID');
  if (tag === 2) a.text('profile id');
  a.varint('start, ms of the day');
  a.varint('duration, ms');
  const types = a.varint('types');
  for (let t = 0; t < types; t++) {
    a.varint(`type ${t}: series`);
    a.varint(`type ${t}: column`);
    a.varintBig(`type ${t}: grain`);
  }
  const columns = a.varint('columns');
  for (let c = 0; c < columns; c++) a.varintBig(`column ${c}: sum of ticks`);
  const groups = a.varint('groups');
  for (let g = 0; g < groups; g++) {
    const flags = a.u8(`group ${g}: flags`);
    if ((flags & 1) !== 0) a.raw(8, 'span');
    if ((flags & 2) !== 0) a.raw(16, 'trace');
    const size = a.varint('bytes of entries');
    annotateEntries(a, a.at + size);
  }
}

dataDriven('test/storage/testdata/fragment.txt', () => {
  const bytes = encodeFragment(FRAGMENT);
  const a = new Annotator(bytes);
  annotateHeader(a);
  const sections: Uint8Array[] = [];
  for (const [s, section] of FRAGMENT.sections.entries()) {
    const { at } = a;
    a.title(`section ${s}`);
    const size = a.varint('bytes of the slice');
    a.raw(size, 'slice');
    for (const push of section.pushes.keys()) walkPush(a, push);
    sections.push(bytes.subarray(at, a.at));
  }
  a.expectAt(directoryOffset(bytes));
  walkDirectory(a, sections);
  annotateFooter(a);
  return a.lines;
});
