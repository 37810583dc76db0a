import type { AnswerFront } from '../query/request.ts';
import { varintBytes } from '../query/encode/proto-writer.ts';
import type { TakenFile } from '../storage/scratch/scratch.ts';
import type { SpilledFront } from './answer-spill.ts';

/** A part of the message: a run of the file, or the bytes of a length. */
interface Part {
  /** Where it begins in the message. */
  readonly at: number;
  readonly length: number;
  /** Where it is in the file, or what it is. */
  readonly from: number | Uint8Array;
}

/** The front of an answer as it is read: a scratch file with each late length in its gap. */
export function answerFront(file: TakenFile, { lengths }: SpilledFront): AnswerFront {
  const parts = partsOf(file.byteLength, lengths);
  const last = parts.at(-1);
  const byteLength = last === undefined ? 0 : last.at + last.length;
  return {
    byteLength,
    async read(offset, into) {
      const wanted = Math.min(into.byteLength, byteLength - offset);
      let done = 0;
      for (let i = partAt(parts, offset); done < wanted; i++) {
        const { at, length, from } = parts[i] as Part;
        const skipped = offset + done - at;
        const size = Math.min(length - skipped, wanted - done);
        const place = into.subarray(done, done + size);
        if (typeof from !== 'number') place.set(from.subarray(skipped, skipped + size));
        else if ((await file.read(from + skipped, place)) < size) break;
        done += size;
      }
      return done;
    },
    close: () => file.close(),
  };
}

function partsOf(fileBytes: number, lengths: SpilledFront['lengths']): readonly Part[] {
  const parts: Part[] = [];
  let at = 0;
  const add = (length: number, from: number | Uint8Array): void => {
    if (length > 0) parts.push({ at, length, from });
    at += length;
  };
  let read = 0;
  for (const gap of lengths.toSorted((a, b) => a.at - b.at)) {
    add(gap.at - read, read);
    const bytes = varint(gap.length);
    add(bytes.byteLength, bytes);
    read = gap.at + 1;
  }
  add(fileBytes - read, read);
  return parts;
}

/** Index of the part in which `offset` lies. */
function partAt(parts: readonly Part[], offset: number): number {
  let low = 0;
  let high = parts.length - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if ((parts[middle] as Part).at <= offset) low = middle;
    else high = middle - 1;
  }
  return low;
}

function varint(value: number): Uint8Array {
  const bytes = new Uint8Array(varintBytes(value));
  let rest = value;
  for (let i = 0; i < bytes.length; i++) {
    bytes[i] = (rest % 0x80) | (i + 1 < bytes.length ? 0x80 : 0);
    rest = Math.floor(rest / 0x80);
  }
  return bytes;
}
