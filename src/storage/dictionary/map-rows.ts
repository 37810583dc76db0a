import { NO_FUNCTION } from './rows.ts';
import type { Dictionary } from './dictionary.ts';
import type { FrameColumns, Rows } from './rows.ts';
import type { ScopeMap } from './scope-map.ts';

/** Finds or adds the rows by content in `into`, and extends `map` by where they are. */
export function mapRows(rows: Rows, into: Dictionary, map: ScopeMap): void {
  const { tables } = map;
  let start = 0;
  for (const end of rows.stringEnd) {
    tables.strings.add(into.internBytes(rows.stringBytes, start, end));
    start = end;
  }
  const { name, systemName, file, startLine } = rows.functions;
  for (let i = 0; i < name.length; i++) {
    tables.functions.add(
      into.internFunction(
        map.string(name[i] as number),
        map.string(systemName[i] as number),
        map.string(file[i] as number),
        startLine[i] as number,
      ),
    );
  }
  for (let i = 0; i < rows.frames.fn.length; i++) {
    tables.frames.add(mapFrame(rows.frames, i, into, map));
  }
  for (let i = 0; i < rows.nodeParent.length; i++) {
    const parent = rows.nodeParent[i] as number;
    const above = parent < 0 ? parent : map.node(parent);
    tables.nodes.add(into.internNode(above, map.frame(rows.nodeFrame[i] as number)));
  }
  for (const node of rows.stackNode) tables.stacks.add(into.stacks.internNode(map.node(node)));
  for (const row of rows.series) tables.series.add(into.internSeries(row.labels, row.type));
}

function mapFrame(frames: FrameColumns, i: number, into: Dictionary, map: ScopeMap): number {
  const fn = frames.fn[i] as number;
  return into.internFrameRow({
    fn: fn === NO_FUNCTION ? fn : map.function(fn),
    line: frames.line[i] as number,
    column: frames.column[i] as number,
    mappingFile: map.string(frames.mappingFile[i] as number),
    buildId: map.string(frames.buildId[i] as number),
    addressLow: frames.addressLow[i] as number,
    addressHigh: frames.addressHigh[i] as number,
    flags: frames.flags[i] as number,
  });
}
