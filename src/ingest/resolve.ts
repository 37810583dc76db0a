import { LIMITS } from '../base/limits.ts';
import { NO_MAPPING, type ProfileColumns } from '../profile/columns.ts';
import { NO_STACK_TEXT, TRUNCATED_TEXT } from '../profile/synthetic.ts';
import type { Dictionary } from '../storage/dictionary/dictionary.ts';
import { growI32 } from '../storage/dictionary/grow.ts';
import { FRAME_INLINED, NO_FUNCTION } from '../storage/dictionary/rows.ts';

/** Not looked up yet, in columns of ids. */
const UNKNOWN = -1;

/**
 * Finds the stack id of every sample of a profile in a dictionary, adding what is new.
 *
 * A sample is hashed from the root frame by frame and looked up as a whole; only a stack that is
 * new walks the tree. Functions and locations are looked up once a profile, with the strings that
 * they use; other strings, those of labels say, never enter the dictionary. Nothing is allocated
 * per sample; columns are scratch that the next profile uses again.
 */
export class StackResolver {
  /** Stacks cut to LIMITS.stackDepthKept so far. */
  truncatedStacks = 0;
  #columns!: ProfileColumns;
  #dictionary!: Dictionary;
  /** Ids in the dictionary by index in the profile; of strings, UNKNOWN until they are needed. */
  #strings: Int32Array = new Int32Array(0);
  #functions: Int32Array = new Int32Array(0);
  /** Frame id, or ~i for the i-th location of several frames (i counts from 0). */
  #locations: Int32Array = new Int32Array(0);
  /** Frames of locations with several, root first: those of the i-th are `[start[i], start[i + 1])`. */
  #inlinedStart: Int32Array = new Int32Array(64);
  #inlinedCount = 0;
  #inlined: Int32Array = new Int32Array(64);
  #stacks: Uint32Array = new Uint32Array(0);
  /** The mapping of the location looked up last, and its string ids. */
  #mapping = NO_MAPPING;
  #mappingFile = 0;
  #mappingBuildId = 0;
  /** One stack, filled from its end; one place is for the frame `(truncated)` of the reader or ours. */
  readonly #chain = new Uint32Array(LIMITS.stackDepthKept + 1);

  /**
   * Stack id of every sample, in order; `[0, sampleCount)` of an array that the next call uses
   * again. Several lines of a location become frames, all but the outermost flagged inlined; a
   * location without lines becomes a frame of its mapping and address; a sample without locations
   * becomes the frame `(no stack)`.
   */
  resolve(columns: ProfileColumns, dictionary: Dictionary): Uint32Array {
    this.#open(columns, dictionary);
    this.#resolveFunctions();
    this.#resolveLocations();
    dictionary.stacks.prepare();
    dictionary.counters.stackHits += this.#findStacks();
    dictionary.closeInput();
    this.#guess();
    return this.#stacks;
  }

  /** Small profiles have a row or two of each kind: all of them would be looked up by hash. */
  #guess(): void {
    const { functionCount, functionName, locationCount, sampleCount } = this.#columns;
    if (locationCount === 0 || sampleCount === 0) return;
    const string = functionCount === 0 ? 0 : (this.#strings[functionName[0] as number] as number);
    const fn = functionCount === 0 ? 0 : (this.#functions[0] as number);
    const location = this.#locations[0] as number;
    const frame = location < 0 ? (this.#inlined[0] as number) : location;
    this.#dictionary.guess(string, fn, frame, this.#stacks[0] as number);
  }

  /**
   * Fills the column of stacks; how many were known. Everything is in local variables and there is
   * one call a sample: two lanes of a multiplication, a shift and two more steps a frame are all
   * that a known stack costs.
   */
  #findStacks(): number {
    const { sampleCount, sampleLocationStart, sampleLocations } = this.#columns;
    const { stacks, hashing } = this.#dictionary;
    const { startLow, startHigh, multiplierLow, multiplierHigh } = hashing;
    const frameOf = this.#locations;
    const inlined = this.#inlined;
    const inlinedStart = this.#inlinedStart;
    const found = this.#stacks;
    let hits = 0;
    for (let sample = 0; sample < sampleCount; sample++) {
      const first = sampleLocationStart[sample] as number;
      const end = sampleLocationStart[sample + 1] as number;
      let low = startLow;
      let high = startHigh;
      let depth = end - first;
      let frame = 0;
      for (let i = end - 1; i >= first; i--) {
        frame = frameOf[sampleLocations[i] as number] as number;
        if (frame < 0) {
          let at = inlinedStart[~frame] as number;
          const last = (inlinedStart[-frame] as number) - 1;
          depth += last - at;
          for (; at < last; at++) {
            frame = inlined[at] as number;
            low = Math.imul(low ^ frame, multiplierLow);
            low ^= low >>> 15;
            high = Math.imul(high + frame, multiplierHigh);
            high ^= high >>> 13;
          }
          frame = inlined[last] as number;
        }
        low = Math.imul(low ^ frame, multiplierLow);
        low ^= low >>> 15;
        high = Math.imul(high + frame, multiplierHigh);
        high ^= high >>> 13;
      }
      const known = stacks.find(low, high, depth, frame);
      if (known >= 0) {
        hits++;
        found[sample] = known;
      } else {
        found[sample] = this.#add(first, end);
      }
    }
    return hits;
  }

  #open(columns: ProfileColumns, dictionary: Dictionary): void {
    this.#columns = columns;
    this.#dictionary = dictionary;
    this.#strings = unknown(this.#strings, columns.stringCount);
    this.#functions = growI32(this.#functions, columns.functionCount);
    this.#locations = growI32(this.#locations, columns.locationCount);
    this.#inlinedCount = 0;
    this.#openMapping(NO_MAPPING);
    if (this.#stacks.length < columns.sampleCount) {
      this.#stacks = new Uint32Array(columns.sampleCount * 2);
    }
  }

  /** A stack that is not known, or too deep to be found as it is. */
  #add(first: number, end: number): number {
    const { sampleLocations } = this.#columns;
    const chain = this.#chain;
    let at = chain.length;
    for (let i = first; i < end; i++) {
      const frame = this.#locations[sampleLocations[i] as number] as number;
      if (frame >= 0) {
        if (at === 0) return this.#addTruncated();
        chain[--at] = frame;
        continue;
      }
      const from = this.#inlinedStart[~frame] as number;
      for (let j = (this.#inlinedStart[-frame] as number) - 1; j >= from; j--) {
        if (at === 0) return this.#addTruncated();
        chain[--at] = this.#inlined[j] as number;
      }
    }
    if (at === chain.length) chain[--at] = this.#syntheticFrame(NO_STACK_TEXT);
    return this.#dictionary.internStack(chain, at, chain.length);
  }

  /** Inlining made a stack deeper than the reader lets through: the root side is cut. */
  #addTruncated(): number {
    this.truncatedStacks++;
    this.#chain[0] = this.#syntheticFrame(TRUNCATED_TEXT);
    return this.#dictionary.internStack(this.#chain, 0, this.#chain.length);
  }

  #syntheticFrame(name: string): number {
    const dictionary = this.#dictionary;
    const fn = dictionary.internFunction(dictionary.internText(name), 0, 0, 0);
    return dictionary.internFrame(fn, 0, 0, 0, 0, 0, 0, 0);
  }

  #resolveFunctions(): void {
    const { functionCount, functionName, functionSystemName, functionFile, functionStartLine } =
      this.#columns;
    const strings = this.#strings;
    const functions = this.#functions;
    const dictionary = this.#dictionary;
    for (let i = 0; i < functionCount; i++) {
      const nameIndex = functionName[i] as number;
      const systemNameIndex = functionSystemName[i] as number;
      const fileIndex = functionFile[i] as number;
      let name = strings[nameIndex] as number;
      if (name === UNKNOWN) name = this.#string(nameIndex);
      let systemName = strings[systemNameIndex] as number;
      if (systemName === UNKNOWN) systemName = this.#string(systemNameIndex);
      let file = strings[fileIndex] as number;
      if (file === UNKNOWN) file = this.#string(fileIndex);
      functions[i] = dictionary.internFunction(
        name,
        systemName,
        file,
        functionStartLine[i] as number,
      );
    }
  }

  #resolveLocations(): void {
    const { locationCount, locationLineStart, locationMapping } = this.#columns;
    const { lineFunction, lineNumber, lineColumn, functionCount } = this.#columns;
    const locations = this.#locations;
    const functions = this.#functions;
    const dictionary = this.#dictionary;
    for (let location = 0; location < locationCount; location++) {
      const mapping = locationMapping[location] as number;
      if (mapping !== this.#mapping) this.#openMapping(mapping);
      const first = locationLineStart[location] as number;
      const lines = (locationLineStart[location + 1] as number) - first;
      const fn = lineFunction[first] as number;
      if (lines === 1 && fn < functionCount) {
        locations[location] = dictionary.internFrame(
          functions[fn] as number,
          lineNumber[first] as number,
          lineColumn[first] as number,
          this.#mappingFile,
          this.#mappingBuildId,
          0,
          0,
          0,
        );
      } else {
        locations[location] = lines < 2 ? this.#addressFrame(location) : this.#inline(location);
      }
    }
  }

  /** Looks up the frames of a location of several; what the column of locations is to hold. */
  #inline(location: number): number {
    const { locationLineStart } = this.#columns;
    const first = locationLineStart[location] as number;
    const end = locationLineStart[location + 1] as number;
    const list = this.#inlinedCount++;
    let at = this.#inlinedStart[list] as number;
    this.#inlined = growI32(this.#inlined, at + end - first);
    this.#inlinedStart = growI32(this.#inlinedStart, list + 2);
    // The last line is the outermost caller: what comes after it on the way to the leaf is inlined.
    for (let line = end - 1; line >= first; line--) {
      const flags = line === end - 1 ? 0 : FRAME_INLINED;
      this.#inlined[at++] = this.#lineFrame(location, line, flags);
    }
    this.#inlinedStart[list + 1] = at;
    return ~list;
  }

  #lineFrame(location: number, line: number, flags: number): number {
    const { lineFunction, lineNumber, lineColumn, functionCount } = this.#columns;
    const fn = lineFunction[line] as number;
    if (fn >= functionCount) return this.#addressFrame(location);
    return this.#dictionary.internFrame(
      this.#functions[fn] as number,
      lineNumber[line] as number,
      lineColumn[line] as number,
      this.#mappingFile,
      this.#mappingBuildId,
      0,
      0,
      flags,
    );
  }

  #addressFrame(location: number): number {
    const { locationAddressLow, locationAddressHigh } = this.#columns;
    return this.#dictionary.internFrame(
      NO_FUNCTION,
      0,
      0,
      this.#mappingFile,
      this.#mappingBuildId,
      locationAddressLow[location] as number,
      locationAddressHigh[location] as number,
      0,
    );
  }

  #openMapping(mapping: number): void {
    const { mappingFile, mappingBuildId } = this.#columns;
    this.#mapping = mapping;
    this.#mappingFile = mapping < 0 ? 0 : this.#string(mappingFile[mapping] as number);
    this.#mappingBuildId = mapping < 0 ? 0 : this.#string(mappingBuildId[mapping] as number);
  }

  /** Id of a string, looked up once a profile. */
  #string(index: number): number {
    const known = this.#strings[index] as number;
    if (known !== UNKNOWN) return known;
    const { bytes, stringStart, stringEnd } = this.#columns;
    const id = this.#dictionary.internBytes(
      bytes,
      stringStart[index] as number,
      stringEnd[index] as number,
    );
    this.#strings[index] = id;
    return id;
  }
}

/** The column, or a longer one, with the first `count` rows UNKNOWN. */
function unknown(column: Int32Array, count: number): Int32Array {
  if (count > column.length) return new Int32Array(count * 2).fill(UNKNOWN);
  // A loop is cheaper than the call for the tables of small profiles.
  if (count > 64) return column.fill(UNKNOWN, 0, count);
  for (let i = 0; i < count; i++) column[i] = UNKNOWN;
  return column;
}
