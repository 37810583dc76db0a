import { hex } from '../../base/bytes.ts';
import { TephraError } from '../../base/errors.ts';
import { MINUTE_MS } from '../../base/time.ts';
import { decodeBlock, decodeBlockSection, readMinute } from '../block/decode.ts';
import { formatLengths } from '../dictionary/lengths.ts';
import { decodeOutline } from '../dictionary/outline.ts';
import type { SeriesRow } from '../dictionary/rows.ts';
import { openSegment } from '../dictionary/segment.ts';
import { decodeRows } from '../dictionary/slice.ts';
import { decodeFragment, decodeSection } from '../fragment/decode.ts';
import type { TypeColumn } from '../column/entries.ts';
import { decodeRoot } from '../root/decode.ts';
import { decodeHeadMark } from '../shard/head-mark.ts';

/**
 * Any blob or root as readable lines, told apart by its magic; what has none is taken for a head mark.
 * Parts that do not decode are described as damaged; throws only where nothing does (`corrupt_block`,
 * `unknown_format_version`).
 */
export function describe(bytes: Uint8Array): string[] {
  const magic = Buffer.from(bytes.subarray(0, 4)).toString('latin1');
  switch (magic) {
    case 'TPFR':
      return describeFragment(bytes);
    case 'TPBL':
      return describeBlock(bytes);
    case 'TPSG':
      return describeSegment(bytes);
    case 'TPOL':
      return describeOutline(bytes);
    case 'TPRT':
      return describeRoot(bytes);
    default:
      return describeHeadMark(bytes);
  }
}

function describeFragment(bytes: Uint8Array): string[] {
  const fragment = decodeFragment(bytes);
  const { incarnation, seq, shard, arrivalHourMs, skipped, sections } = fragment;
  const lines = [
    `fragment, ${bytes.byteLength} bytes`,
    `  incarnation ${incarnation}, shard ${shard}, seq ${seq}, arrived in the hour of ${time(arrivalHourMs)}`,
  ];
  if (skipped.length > 0) lines.push(`  never stored: ${skipped.join(', ')}`);
  for (const entry of sections) {
    lines.push(
      `  section ${entry.tenant} ${entry.service}, day ${time(entry.dayMs)}, epoch ${entry.epoch}, ${entry.end - entry.at} bytes`,
      `    rows (strings/functions/frames/nodes/stacks/series) seed ${formatLengths(entry.seed)}, from ${formatLengths(entry.from)}, to ${formatLengths(entry.to)}`,
    );
    lines.push(
      ...part('    ', () => {
        const view = decodeSection(bytes, entry);
        return [
          ...decodeRows(view.slice, entry.from, entry.to).series.map((row, i) =>
            describeSeries(entry.from.series + i, row),
          ),
          ...view.pushes.flatMap((push) => [
            `push ${push.index} at ${time(push.startMs)}, ${push.durationMs} ms, key ${hex(push.key)}${push.profileId === '' ? '' : `, id ${push.profileId}`}`,
            ...push.types.map((type) => `  ${describeType(type)}`),
            ...push.groups
              .filter(({ spanId, traceId }) => spanId !== '' || traceId !== '')
              .map(({ spanId, traceId }) => `  span ${spanId} trace ${traceId}`),
          ]),
        ];
      }),
    );
  }
  return lines;
}

function describeBlock(bytes: Uint8Array): string[] {
  const block = decodeBlock(bytes);
  const lines = [
    `block, ${bytes.byteLength} bytes`,
    `  day ${time(block.dayMs)}, shard ${block.shard}, hours ${block.hours.join(', ')}`,
  ];
  for (const entry of block.sections) {
    lines.push(
      `  section ${entry.tenant} ${entry.service}, minutes ${entry.firstMinute} to ${entry.lastMinute}, ${entry.end - entry.at} bytes`,
    );
    lines.push(
      ...part('    ', () => {
        const view = decodeBlockSection(bytes.subarray(entry.at, entry.end), entry);
        return view.families.flatMap((family) => [
          `series ${family.series.join(', ')}: ${family.minutes.length} minutes`,
          ...Array.from(family.minutes, (_, i) => {
            const { minute, types, pushCount } = readMinute(view, family, i);
            const at = time(entry.dayMs + minute * MINUTE_MS);
            return `  ${at}: ${pushCount} pushes, ${types.map(describeType).join('; ')}`;
          }),
        ]);
      }),
    );
  }
  return lines;
}

function describeSegment(bytes: Uint8Array): string[] {
  const segment = openSegment(bytes);
  const lines = [`dictionary segment, ${bytes.byteLength} bytes`];
  for (const entry of segment.entries) {
    lines.push(
      `  slice ${entry.tenant} ${entry.service}, ${entry.end - entry.at} bytes`,
      `    rows from ${formatLengths(entry.from)} to ${formatLengths(entry.to)}`,
    );
    lines.push(
      ...part('    ', () => {
        const rows = decodeRows(segment.slice(entry), entry.from, entry.to);
        const texts: string[] = [];
        let start = 0;
        for (const end of rows.stringEnd) {
          const text = Buffer.from(rows.stringBytes.subarray(start, end)).toString('utf8');
          texts.push(`string ${entry.from.strings + texts.length}: ${JSON.stringify(text)}`);
          start = end;
        }
        return [
          ...rows.series.map((row, i) => describeSeries(entry.from.series + i, row)),
          ...texts,
        ];
      }),
    );
  }
  return lines;
}

function describeOutline(bytes: Uint8Array): string[] {
  return [
    `outline of a dictionary segment, ${bytes.byteLength} bytes`,
    ...decodeOutline(bytes).flatMap(({ tenant, service, from, to, series }) => [
      `  slice ${tenant} ${service}, rows from ${formatLengths(from)} to ${formatLengths(to)}`,
      ...series.map((row, i) => `    ${describeSeries(from.series + i, row)}`),
    ]),
  ];
}

function describeRoot(bytes: Uint8Array): string[] {
  const root = decodeRoot(bytes);
  const lines = [
    `root, ${bytes.byteLength} bytes`,
    `  generation ${root.gen}, commit ${hex(root.commit)}${root.dropped ? ', dropped by retention' : ''}`,
    `  hour rolls ${root.roll}, by hour ${root.rolledBy.join(' ')}`,
  ];
  for (const [incarnation, intervals] of root.absorbed) {
    const list = intervals.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`));
    lines.push(`  absorbed of incarnation ${incarnation}: ${list.join(', ')}`);
  }
  for (const { id, bytes: size, hours, rolled } of root.blocks) {
    const how = rolled ? 'rolled' : 'not rolled';
    lines.push(`  block ${id}, ${size} bytes, hours ${hours.join(', ')}, ${how}`);
  }
  for (const { id, bytes: size } of root.segments) lines.push(`  segment ${id}, ${size} bytes`);
  for (const { roll, id } of root.outbox) lines.push(`  outbox: roll ${roll}, ${id}`);
  for (const { id, sinceMs } of root.trash) lines.push(`  trash ${id} since ${time(sinceMs)}`);
  if (root.tombstones.length > 0) lines.push(`  tombstones: ${root.tombstones.length}`);
  return lines;
}

function describeHeadMark(bytes: Uint8Array): string[] {
  const mark = decodeHeadMark(bytes);
  // A mark of nothing is six bytes; whatever else reads as nothing is no mark.
  if (mark.size === 0 && bytes.byteLength !== 5) {
    throw new TephraError('corrupt_block', `${bytes.byteLength} bytes without a known magic`);
  }
  return [
    `head mark, ${bytes.byteLength} bytes: absorbed below`,
    ...Array.from(mark, ([incarnation, seq]) => `  incarnation ${incarnation}: seq ${seq}`),
  ];
}

/** Indented lines, or one that says why there are none. */
function part(indent: string, lines: () => readonly string[]): string[] {
  try {
    return lines().map((line) => indent + line);
  } catch (thrown) {
    const error = TephraError.from(thrown);
    if (error.reason !== 'corrupt_block') throw error;
    return [`${indent}DAMAGED: ${error.detail}`];
  }
}

function describeSeries(id: number, { labels, type }: SeriesRow): string {
  const { name, type: sampleType, unit, periodType, periodUnit } = type;
  const set = labels.map(([label, value]) => `${label}=${JSON.stringify(value)}`).join(', ');
  return `series ${id}: ${name}:${sampleType}:${unit}:${periodType}:${periodUnit} {${set}}`;
}

function describeType({ series, total, column, grain }: TypeColumn): string {
  return `series ${series} total ${total} (column ${column}, grain ${grain})`;
}

function time(ms: number): string {
  return new Date(ms).toISOString();
}
