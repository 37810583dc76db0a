import type { FamilyColumns } from '../storage/block/encode.ts';
import type { BlockSection } from '../storage/block/encode.ts';

/** Bytes of columns after which a new block is begun; well under the largest blob. */
const BLOCK_TARGET_BYTES = 32 * 1024 * 1024;

/**
 * Splits sections over as many blocks as their size asks for. A service may be in several blocks of an
 * hour: readers add up whatever they find.
 */
export function packSections(
  sections: readonly BlockSection[],
  targetBytes = BLOCK_TARGET_BYTES,
): BlockSection[][] {
  const blocks: BlockSection[][] = [];
  let block: BlockSection[] = [];
  let bytes = 0;
  const close = (): void => {
    if (block.length > 0) blocks.push(block);
    block = [];
    bytes = 0;
  };
  for (const { tenant, service, families } of sections) {
    let part: FamilyColumns[] = [];
    for (const family of families) {
      const size = familyBytes(family);
      if (bytes > 0 && bytes + size > targetBytes) {
        if (part.length > 0) block.push({ tenant, service, families: part });
        part = [];
        close();
      }
      part.push(family);
      bytes += size;
    }
    if (part.length > 0) block.push({ tenant, service, families: part });
  }
  close();
  return blocks;
}

/** Bytes of a family's columns, and a guess of what stands around them. */
function familyBytes(family: FamilyColumns): number {
  let bytes = 16 + family.series.length * 4;
  for (const { entries, pushes } of family.minutes) {
    bytes += entries.byteLength + 16 + pushes.length * 16;
  }
  return bytes;
}
