/** A mistake that somebody could make: one place, what stands there (once), and what stands there instead. */
export interface Bug {
  readonly site: string;
  readonly mistake: string;
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

/** One or more a site. None of them has a test of its own in the campaigns. */
export const BUGS: readonly Bug[] = [
  {
    site: 'ack order',
    mistake: 'a push is acknowledged before its put resolved',
    file: 'src/ingest/shard-writer.ts',
    find: '      await store.put(key, bytes, markers);',
    replace: `      for (const { resolve } of draft.waiters) resolve();
      await store.put(key, bytes, markers);`,
  },
  {
    site: 'put',
    mistake: 'batches are not synced',
    file: 'src/storage/blob-store/level/commit-queue.ts',
    find: '{ sync: true }',
    replace: '{ sync: false }',
  },
  {
    site: 'put',
    mistake: 'a put that failed but landed is taken for absent',
    file: 'src/ingest/shard-writer.ts',
    find: '    if (present) {',
    replace: '    if (present && key.length === 0) {',
  },
  {
    site: 'identity memory',
    mistake: 'what is stored is forgotten at once',
    file: 'src/ingest/duplicate-memory.ts',
    find: "if (durable) entry.known = 'durable';",
    replace: 'if (durable) this.#entries.delete(identity);',
  },
  {
    site: 'identity memory',
    mistake: 'a resend during a doubt does not wait for the truth',
    file: 'src/ingest/shard-ingest.ts',
    find: 'void thrown.settled.then((durable) => reservation.settle(durable));',
    replace: 'reservation.settle(false);',
  },
  {
    site: 'identity on disk',
    mistake: 'no marker goes with the put',
    file: 'src/ingest/shard-writer.ts',
    find: 'const markers = markersOf(draft);',
    replace: 'const markers: string[] = [];',
  },
  {
    site: 'clock',
    mistake: 'the horizon forgets that a push may lie in the future',
    file: 'src/ingest/shard-ingest.ts',
    find: 'const reach = this.#memory.horizonMs + this.#rules.futureMs;',
    replace: 'const reach = this.#memory.horizonMs;',
  },
  {
    site: 'absorb',
    mistake: 'an interval covers a sequence that is not in the list',
    file: 'src/jobs/absorb.ts',
    find: 'absorbed: mergeAbsorbed(root.absorbed, landed),',
    replace: 'absorbed: mergeAbsorbed(root.absorbed, state.landed),',
  },
  {
    site: 'absorb',
    mistake: 'the head forgets before the swap',
    file: 'src/jobs/absorb.ts',
    find: '  const blocks = await putBlocks(state, dayMs, root, tables, options);',
    replace: `  state.head.remove(dayMs, listed);
  const blocks = await putBlocks(state, dayMs, root, tables, options);`,
  },
  {
    site: 'absorb',
    mistake: 'a merged block stays in the root as well',
    file: 'src/jobs/absorb.ts',
    find: '        replaced.add(block.id);\n',
    replace: '',
  },
  {
    site: 'root',
    mistake: 'an unknown swap is taken for a success',
    file: 'src/storage/shard/partition.ts',
    find: 'return bytesEqual(now.root.commit, root.commit) ? now : null;',
    replace: 'return now;',
  },
  {
    site: 'root',
    mistake: 'a conflict is taken for a success',
    file: 'src/storage/shard/partition.ts',
    find: "    case 'conflict':\n      return null;",
    replace: "    case 'conflict':\n      return { token: state.token, root };",
  },
  {
    site: 'list order',
    mistake: 'a query reads the root before the list',
    file: 'src/query/execute/day.ts',
    find: `  const listed = state.head.list(dayMs);
  const root = await readRoot(context, state, dayMs, wanted);
`,
    replace: `  const root = await readRoot(context, state, dayMs, wanted);
  const listed = state.head.list(dayMs);
`,
  },
  {
    site: 'list order',
    mistake: 'a section in head and block counts twice',
    file: 'src/query/execute/day.ts',
    find: '    if (isAbsorbed(root, section.incarnation, section.seq)) continue;\n',
    replace: '',
  },
  {
    site: 'roll',
    mistake: 'a roll drops what an earlier roll packed',
    file: 'src/jobs/roll.ts',
    find: '    blocks: [...root.blocks.filter(({ id }) => !gone.has(id)), ...added],',
    replace: '    blocks: added,',
  },
  {
    site: 'trash',
    mistake: 'the new blocks go to the trash',
    file: 'src/jobs/roll.ts',
    find: '      ...[...gone].map((id) => ({ id, sinceMs: options.nowMs })),',
    replace: '      ...added.map(({ id }) => ({ id, sinceMs: options.nowMs })),',
  },
  {
    site: 'sweep',
    mistake: 'segments are taken for orphans',
    file: 'src/jobs/removal.ts',
    find: '    ...root.segments.map(({ id }) => id),\n',
    replace: '',
  },
  {
    site: 'retention',
    mistake: 'a raw volume goes while the head waits for it',
    file: 'src/jobs/retention.ts',
    find: 'if (rawVolume(section.arrivalHourMs) === volume) return true;',
    replace: 'if (rawVolume(section.arrivalHourMs) === volume) return false;',
  },
  {
    site: 'dictionary',
    mistake: 'rows of an ended epoch are taken for canonical ones',
    file: 'src/jobs/absorb.ts',
    find: 'table.addSection(section, plan.maps.get(section.scope));',
    replace: 'table.addSection(section, undefined);',
  },
  {
    site: 'dictionary',
    mistake: 'a new epoch builds on rows of one that ended, and may not be durable',
    file: 'src/ingest/scopes.ts',
    find: `  if (!lengthsEqual(dictionary.lengths, seed)) {
    // Rows of an epoch that ended lie above the canonical ones: their ids must not be given again.
    dictionary = dictionary.copy(seed);
    state.canonical.set(name.dayMs, name.tenant, name.service, dictionary, seed);
  }
  const scope: WriterScope = {
    ...name,
    epoch: state.nextEpoch(),
    dictionary,
    seed,
    base: seed,
    written: seed,
`,
    replace: `  const scope: WriterScope = {
    ...name,
    epoch: state.nextEpoch(),
    dictionary,
    seed,
    base: seed,
    written: dictionary.lengths,
`,
  },
  {
    site: 'epochs',
    mistake: 'an epoch survives a failed put',
    file: 'src/ingest/shard-writer.ts',
    find: '    this.#state.endEpochs();\n',
    replace: '',
  },
  {
    site: 'epochs',
    mistake: 'a mapping absorb does not wait for what is in flight',
    file: 'src/storage/shard/shard-state.ts',
    find: '      await this.settled();\n',
    replace: '',
  },
  {
    site: 'recovery',
    mistake: 'the head mark passes what still waits',
    file: 'src/jobs/shard-jobs.ts',
    find: 'const lowest = head.lowestSeq(incarnation) ?? last + 1;',
    replace: 'const lowest = last + 1;',
  },
  {
    site: 'checksum',
    mistake: 'the checksum covers the first kilobyte only',
    file: 'src/base/crc32.ts',
    find: 'nativeCrc32(bytes, seed)',
    replace: 'nativeCrc32(bytes.subarray(0, 1_024), seed)',
  },
  {
    site: 'poison',
    mistake: 'a handle takes writes after one of them failed',
    file: 'src/storage/blob-store/level/commit-queue.ts',
    find: '    this.#poison = error;\n',
    replace: '',
  },
  {
    site: 'lock',
    mistake: 'a lock that a power cut damaged is not made anew',
    file: 'src/storage/data-directory/lock.ts',
    find: "if (levelCode(error) === 'LEVEL_LOCKED') throw error;",
    replace: 'throw error;',
  },
  {
    site: 'format',
    mistake: 'the incarnation does not count up',
    file: 'src/storage/data-directory/data-directory.ts',
    find: 'incarnation: (before?.incarnation ?? 0) + 1,',
    replace: 'incarnation: Math.max(before?.incarnation ?? 0, 1),',
  },
  {
    site: 'volume',
    mistake: 'the name of a new volume is not synced',
    file: 'src/storage/blob-store/level/volume-folders.ts',
    find: '    place = path;\n    await fs.syncDirectory(folder);\n',
    replace: '    place = path;\n',
  },
];
