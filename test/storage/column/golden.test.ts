import { ByteWriter } from '../../../src/base/bytes.ts';
import { encodeEntries } from '../../../src/storage/column/encode.ts';
import type { Ticks } from '../../../src/storage/column/entries.ts';
import { dataDriven } from '../../golden.ts';
import { annotateEntries, Annotator } from '../annotate.ts';

/** `stacks 1 2`, then a line `ticks 3 4` a column; `n` marks bigints. */
dataDriven('test/storage/testdata/column.txt', ({ input }) => {
  const ticks: Ticks[] = [];
  let stacks = new Uint32Array();
  for (const line of input) {
    const [word, ...numbers] = line.split(' ');
    if (word === 'stacks') stacks = Uint32Array.from(numbers, Number);
    else if (numbers.some((number) => number.endsWith('n'))) {
      ticks.push(BigUint64Array.from(numbers, (number) => BigInt(number.replace('n', ''))));
    } else ticks.push(Float64Array.from(numbers, Number));
  }
  const writer = new ByteWriter();
  encodeEntries(writer, { stacks, ticks });
  const a = new Annotator(writer.finish());
  annotateEntries(a, a.bytes.byteLength);
  return a.lines;
});
