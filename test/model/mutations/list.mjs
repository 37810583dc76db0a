import { STREAM_MUTATIONS } from './stream-list.mjs';

/**
 * Each mutation is a mistake that somebody could make: a place of the product, what stands there, and
 * what stands there instead; `edits` where it takes several. `find` must occur exactly once in the file.
 * `within` names the model that has to notice, where it is not the one of pushes.
 */
export const MUTATIONS = [
  {
    name: 'minute off by one: a minute whose last millisecond is outside the range counts whole',
    file: 'src/query/execute/merge.ts',
    find: 'minuteMs + MINUTE_MS - 1 <= endMs',
    replace: 'minuteMs + MINUTE_MS - 2 <= endMs',
  },
  {
    name: 'minute off by one: the last minute of a range is left out of the columns',
    file: 'src/query/execute/merge.ts',
    find: 'Math.floor((lastMs - day.dayMs) / MINUTE_MS),',
    replace: 'Math.floor((lastMs - day.dayMs) / MINUTE_MS) - 1,',
  },
  {
    name: 'ids forgotten at absorb: rows of an ended epoch are taken for canonical ones',
    file: 'src/jobs/absorb.ts',
    find: 'table.addSection(section, plan.maps.get(section.scope));',
    replace: 'table.addSection(section, undefined);',
  },
  {
    name: 'identity forgotten at absorb: a resend is known by memory alone',
    file: 'src/ingest/shard-ingest.ts',
    find: 'marker = markerKey(volume, hourMs, name);',
    replace: 'marker = undefined;',
  },
  {
    name: 'duplicate memory lost at restart: nobody looks for what came before',
    file: 'src/ingest/shard-ingest.ts',
    find: 'openedMs: options.openedMs,',
    replace: 'openedMs: -Infinity,',
  },
  {
    name: 'gcd dropped: columns of different grain are added tick by tick',
    file: 'src/storage/column/merge.ts',
    find: 'const factor = type.grain / grain;',
    replace: 'const factor = 1n;',
  },
  {
    name: 'gcd dropped: the grain is the first value',
    file: 'src/storage/column/gcd.ts',
    find: 'if (divisor === 0 || value % divisor !== 0) divisor = gcd(value, divisor);',
    replace: 'if (divisor === 0) divisor = value;',
  },
  {
    name: 'an interval covers a sequence in flight when the head was listed',
    file: 'src/jobs/absorb.ts',
    find: 'absorbed: mergeAbsorbed(root.absorbed, landed),',
    replace: 'absorbed: mergeAbsorbed(root.absorbed, state.landed),',
  },
  {
    name: 'an epoch survives a failed put',
    file: 'src/ingest/shard-writer.ts',
    find: 'this.#state.endEpochs();',
    replace: '',
  },
  {
    name: 'root read before the list',
    file: 'src/query/execute/day.ts',
    find: `  const listed = state.head.list(dayMs);
  const root = await readRoot(context, state, dayMs, wanted);
`,
    replace: `  const root = await readRoot(context, state, dayMs, wanted);
  const listed = state.head.list(dayMs);
`,
  },
  {
    name: 'a section in head and block counts twice',
    file: 'src/query/execute/day.ts',
    find: 'if (isAbsorbed(root, section.incarnation, section.seq)) continue;',
    replace: '',
  },
  {
    name: 'a put that failed but landed is taken for absent',
    file: 'src/ingest/shard-writer.ts',
    find: 'if (present) {',
    replace: 'if (present && seq < 0) {',
  },
  {
    name: 'an unknown swap of the root is taken for a success',
    file: 'src/storage/shard/partition.ts',
    find: 'return bytesEqual(now.root.commit, root.commit) ? now : null;',
    replace: 'return bytesEqual(now.root.commit, root.commit) ? now : now;',
  },
  {
    name: 'a roll drops what an earlier roll of the hour packed',
    file: 'src/jobs/roll.ts',
    find: 'blocks: [...root.blocks.filter(({ id }) => !gone.has(id)), ...added],',
    replace:
      'blocks: [...root.blocks.filter((b) => !gone.has(b.id) && !b.hours.some((h) => hours.includes(h))), ...added],',
  },
  {
    name: 'absorb leaves standing the block that it merged into its own',
    file: 'src/jobs/absorb.ts',
    find: '        replaced.add(block.id);\n',
    replace: '',
  },
  {
    // Alone it is harmless: a read that finds a blob gone starts over. Both walls must fall.
    name: 'trash removed without grace, and reads do not start over',
    edits: [
      {
        file: 'src/jobs/removal.ts',
        find: 'nowMs - sinceMs >= graceMs',
        replace: 'nowMs >= sinceMs && graceMs > 0',
      },
      {
        file: 'src/base/limits.ts',
        find: 'queryReadRepeatsMax: 3,',
        replace: 'queryReadRepeatsMax: 0,',
      },
    ],
  },
  {
    name: 'an unknown swap of the root that was ours is taken for a failure',
    file: 'src/storage/shard/partition.ts',
    find: 'return bytesEqual(now.root.commit, root.commit) ? now : null;',
    replace: 'return bytesEqual(now.root.commit, root.commit) ? null : null;',
  },
  {
    name: 'the head mark passes what still waits in the head',
    file: 'src/jobs/shard-jobs.ts',
    find: 'head.lowestSeq(incarnation) ?? last + 1',
    replace: 'last + 1',
  },
  {
    name: 'absorb maps an epoch while a fragment of it is in flight',
    file: 'src/storage/shard/shard-state.ts',
    find: '      await this.settled();\n',
    replace: '',
  },
  {
    name: 'the sweep takes segments for orphans',
    file: 'src/jobs/removal.ts',
    find: '    ...root.segments.map(({ id }) => id),\n    ...root.trash',
    replace: '    ...root.trash',
  },
  {
    name: 'what a root counts comes back into the head at restart, and into no question',
    file: 'src/storage/shard/recover.ts',
    find: 'if (root.dropped || isAbsorbed(root, view.incarnation, view.seq)) continue;',
    replace: 'if (root.dropped || !isAbsorbed(root, view.incarnation, view.seq)) continue;',
  },
  {
    name: 'the end of a range is exclusive',
    file: 'src/query/execute/merge.ts',
    find: 'return timeMs >= this.#wanted.startMs && timeMs <= this.#wanted.endMs;',
    replace: 'return timeMs >= this.#wanted.startMs && timeMs < this.#wanted.endMs;',
  },
  {
    name: 'a point of a timeline holds its left end and not its right one',
    file: 'src/query/series/steps.ts',
    find: 'Math.ceil((timestampMs - steps.startMs) / steps.stepMs)',
    replace: 'Math.floor((timestampMs - steps.startMs) / steps.stepMs) + 1',
  },
  ...STREAM_MUTATIONS,
];
