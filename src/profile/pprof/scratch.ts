import type { PprofScan } from './scan.ts';

/**
 * The arrays that a reader decodes into, used again from profile to profile: a profile of 300
 * bytes costs no allocation here. An array that is far too long for what it holds is let go, so
 * that one huge profile does not pin its memory for ever.
 */
export class PprofScratch {
  stringStart = new Uint32Array(0);
  stringEnd = new Uint32Array(0);
  functionName = new Uint32Array(0);
  functionSystemName = new Uint32Array(0);
  functionFile = new Uint32Array(0);
  functionStartLine = new Float64Array(0);
  mappingFile = new Uint32Array(0);
  mappingBuildId = new Uint32Array(0);
  locationMapping = new Int32Array(0);
  locationAddressLow = new Uint32Array(0);
  locationAddressHigh = new Uint32Array(0);
  locationLineStart = new Uint32Array(0);
  lineFunction = new Uint32Array(0);
  lineNumber = new Float64Array(0);
  lineColumn = new Float64Array(0);
  sampleLocationStart = new Uint32Array(0);
  sampleLocations = new Uint32Array(0);
  values = new Float64Array(0);
  sampleLabelStart = new Uint32Array(0);
  labelKey = new Uint32Array(0);
  labelText = new Uint32Array(0);

  /**
   * Makes room for what the scan counted and `extra` synthetic rows (a string, function, line and
   * location each); `frames` is the room for locations of samples.
   */
  fit(scan: PprofScan, extra: number, frames: number): void {
    if (misfits(this.stringStart, scan.strings + extra)) {
      this.stringStart = grown(this.stringStart, scan.strings + extra);
      this.stringEnd = grown(this.stringEnd, scan.strings + extra);
    }
    if (misfits(this.functionName, scan.functions + extra)) {
      this.functionName = grown(this.functionName, scan.functions + extra);
      this.functionSystemName = grown(this.functionSystemName, scan.functions + extra);
      this.functionFile = grown(this.functionFile, scan.functions + extra);
      this.functionStartLine = grown(this.functionStartLine, scan.functions + extra);
    }
    if (misfits(this.mappingFile, scan.mappings)) {
      this.mappingFile = grown(this.mappingFile, scan.mappings);
      this.mappingBuildId = grown(this.mappingBuildId, scan.mappings);
    }
    if (misfits(this.locationLineStart, scan.locations + extra + 1)) {
      this.locationMapping = grown(this.locationMapping, scan.locations + extra + 1);
      this.locationAddressLow = grown(this.locationAddressLow, scan.locations + extra + 1);
      this.locationAddressHigh = grown(this.locationAddressHigh, scan.locations + extra + 1);
      this.locationLineStart = grown(this.locationLineStart, scan.locations + extra + 1);
    }
    if (misfits(this.lineFunction, scan.lines + extra)) {
      this.lineFunction = grown(this.lineFunction, scan.lines + extra);
      this.lineNumber = grown(this.lineNumber, scan.lines + extra);
      this.lineColumn = grown(this.lineColumn, scan.lines + extra);
    }
    if (misfits(this.sampleLocationStart, scan.samples + 1)) {
      this.sampleLocationStart = grown(this.sampleLocationStart, scan.samples + 1);
      this.sampleLabelStart = grown(this.sampleLabelStart, scan.samples + 1);
    }
    if (misfits(this.sampleLocations, frames)) {
      this.sampleLocations = grown(this.sampleLocations, frames);
    }
    if (misfits(this.values, scan.samples * scan.sampleTypes)) {
      this.values = grown(this.values, scan.samples * scan.sampleTypes);
    }
    if (misfits(this.labelKey, scan.labels)) {
      this.labelKey = grown(this.labelKey, scan.labels);
      this.labelText = grown(this.labelText, scan.labels);
    }
  }
}

/** Rows that an array may have without being let go, however few are used. */
const ROWS_KEPT = 1 << 18;
/** The smallest array that is made: one size fits most small profiles. */
const ROWS_LEAST = 64;

type Column = Uint32Array | Int32Array | Float64Array;

function misfits(column: Column, count: number): boolean {
  return column.length < count || (column.length > ROWS_KEPT && column.length / 16 > count);
}

/** An empty array like `column` for at least `count` rows; grows by doubling. */
export function grown<T extends Column>(column: T, count: number): T {
  const doubled = column.length < count ? column.length * 2 : 0;
  const rows = Math.max(count, Math.min(doubled, count * 2), ROWS_LEAST);
  return new (column.constructor as new (length: number) => T)(rows);
}
