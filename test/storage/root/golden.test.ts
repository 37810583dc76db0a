import { encodeRoot } from '../../../src/storage/root/encode.ts';
import { dataDriven } from '../../golden.ts';
import { annotateHeader, Annotator } from '../annotate.ts';
import { EMPTY_ROOT, ROOT } from '../fixtures.ts';

function walkId(a: Annotator): void {
  const size = a.varint('  id: bytes');
  a.raw(size, '  id');
}

dataDriven('test/storage/testdata/root.txt', ({ command }) => {
  const a = new Annotator(encodeRoot(command === 'empty' ? EMPTY_ROOT : ROOT));
  annotateHeader(a);
  a.varint('gen');
  a.raw(16, 'commit');
  a.u8('flags: dropped');
  a.varint('roll');
  for (let hour = 0; hour < 24; hour++) a.varint(`rolled by, hour ${hour}:`);
  const incarnations = a.varint('incarnations');
  for (let i = 0; i < incarnations; i++) {
    a.varint('  incarnation');
    const intervals = a.varint('  intervals');
    for (let k = 0; k < intervals; k++) {
      a.varint('    from: +');
      a.varint('    to: +');
    }
  }
  const blocks = a.varint('blocks');
  for (let i = 0; i < blocks; i++) {
    walkId(a);
    a.varint('  bytes');
    a.u8('  flags: rolled');
    a.u24('  hours');
  }
  const segments = a.varint('segments');
  for (let i = 0; i < segments; i++) {
    walkId(a);
    a.varint('  bytes');
  }
  const outbox = a.varint('outbox');
  for (let i = 0; i < outbox; i++) {
    a.varint('  roll');
    walkId(a);
  }
  const trash = a.varint('trash');
  for (let i = 0; i < trash; i++) {
    walkId(a);
    a.varint('  since, ms');
  }
  const tombstones = a.varint('tombstones');
  for (let i = 0; i < tombstones; i++) {
    const size = a.varint('  tombstone: bytes');
    a.raw(size, '  tombstone');
  }
  a.crc('all before', a.bytes.subarray(0, a.at));
  a.expectAt(a.bytes.byteLength);
  return a.lines;
});
