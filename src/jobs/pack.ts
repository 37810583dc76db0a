import type { FamilyColumns, MinuteColumn } from '../storage/block/encode.ts';
import type { BlockSection } from '../storage/block/encode.ts';

/** Bytes of columns after which a new block is begun; well under the largest blob. */
const BLOCK_TARGET_BYTES = 32 * 1024 * 1024;

/**
 * Splits sections over as many blocks as their size asks for. A service, and a family of it, may be in
 * several blocks of an hour: readers add up whatever they find.
 */
export function packSections(
  sections: readonly BlockSection[],
  targetBytes = BLOCK_TARGET_BYTES,
): BlockSection[][] {
  const blocks: BlockSection[][] = [];
  let block: BlockSection[] = [];
  let bytes = 0;
  let hasColumns = false;
  const close = (): void => {
    if (block.length > 0) blocks.push(block);
    block = [];
    bytes = 0;
    hasColumns = false;
  };
  for (const { tenant, service, families } of sections) {
    let part: FamilyColumns[] = [];
    for (const { series, minutes } of families) {
      let taken: MinuteColumn[] = [];
      bytes += 16 + series.length * 4;
      for (const minute of minutes) {
        const size = minuteBytes(minute);
        if (hasColumns && bytes + size > targetBytes) {
          if (taken.length > 0) part.push({ series, minutes: taken });
          if (part.length > 0) block.push({ tenant, service, families: part });
          [taken, part] = [[], []];
          close();
        }
        taken.push(minute);
        hasColumns = true;
        bytes += size;
      }
      part.push({ series, minutes: taken });
    }
    if (part.length > 0) block.push({ tenant, service, families: part });
  }
  close();
  return blocks;
}

/** Bytes of a minute's column, and a guess of what stands around them. */
function minuteBytes({ entries, pushes }: MinuteColumn): number {
  return entries.byteLength + 16 + pushes.length * 16;
}
