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

  /** How often {@link fit} made an array anew. */
  changes = 0;

  /** Makes room for so many rows of each kind; upper bounds are welcome, untouched pages are free. */
  fit(rows: ScratchRows): void {
    if (misfits(this.stringStart, rows.strings)) {
      this.changes++;
      this.stringStart = grown(this.stringStart, rows.strings);
      this.stringEnd = grown(this.stringEnd, rows.strings);
    }
    if (misfits(this.functionName, rows.functions)) {
      this.changes++;
      this.functionName = grown(this.functionName, rows.functions);
      this.functionSystemName = grown(this.functionSystemName, rows.functions);
      this.functionFile = grown(this.functionFile, rows.functions);
      this.functionStartLine = grown(this.functionStartLine, rows.functions);
    }
    if (misfits(this.mappingFile, rows.mappings)) {
      this.changes++;
      this.mappingFile = grown(this.mappingFile, rows.mappings);
      this.mappingBuildId = grown(this.mappingBuildId, rows.mappings);
    }
    if (misfits(this.locationLineStart, rows.locations + 1)) {
      this.changes++;
      this.locationMapping = grown(this.locationMapping, rows.locations + 1);
      this.locationAddressLow = grown(this.locationAddressLow, rows.locations + 1);
      this.locationAddressHigh = grown(this.locationAddressHigh, rows.locations + 1);
      this.locationLineStart = grown(this.locationLineStart, rows.locations + 1);
    }
    if (misfits(this.lineFunction, rows.lines)) {
      this.changes++;
      this.lineFunction = grown(this.lineFunction, rows.lines);
      this.lineNumber = grown(this.lineNumber, rows.lines);
      this.lineColumn = grown(this.lineColumn, rows.lines);
    }
    if (misfits(this.sampleLocationStart, rows.samples + 1)) {
      this.changes++;
      this.sampleLocationStart = grown(this.sampleLocationStart, rows.samples + 1);
      this.sampleLabelStart = grown(this.sampleLabelStart, rows.samples + 1);
    }
    if (misfits(this.sampleLocations, rows.frames)) {
      this.changes++;
      this.sampleLocations = grown(this.sampleLocations, rows.frames);
    }
    if (misfits(this.values, rows.values)) {
      this.changes++;
      this.values = grown(this.values, rows.values);
    }
    if (misfits(this.labelKey, rows.labels)) {
      this.changes++;
      this.labelKey = grown(this.labelKey, rows.labels);
      this.labelText = grown(this.labelText, rows.labels);
    }
  }
}

/** Rows wanted of each kind. */
export interface ScratchRows {
  strings: number;
  functions: number;
  mappings: number;
  locations: number;
  lines: number;
  samples: number;
  frames: number;
  values: number;
  labels: number;
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
