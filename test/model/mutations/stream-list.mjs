const within = 'test/model/stream';

/** Mistakes of streams, as in list.mjs. */
export const STREAM_MUTATIONS = [
  {
    name: 'stream: a batch is acknowledged before it is durable',
    within,
    file: 'src/ingest/stream/known-stream.ts',
    find: '    settling.begin();\n    writer.give(',
    replace: '    settling.begin();\n    this.#settle(sequence);\n    writer.give(',
  },
  {
    name: 'stream: the sequence is not stored with the batch',
    within,
    file: 'src/ingest/stream/stream-item.ts',
    find: 'get marker(): string {\n    return `${this.#markers}${this.#stream.marker(this.#sequence)}`;',
    replace: 'get marker(): undefined {\n    return undefined;',
  },
  {
    name: 'stream: nobody looks which batches were stored before a restart',
    within,
    file: 'src/ingest/stream/stream-calls.ts',
    find: 'return found < 0 ? 0 : firstSequence + found;',
    replace: 'return 0;',
  },
  {
    name: 'stream: a new epoch goes on with the tables of the old one',
    within,
    file: 'src/ingest/stream/batch-intake.ts',
    find: 'if (batch.epoch > stream.epoch) {',
    replace: 'if (batch.epoch > stream.epoch && stream.tables === undefined) {',
  },
  {
    name: 'stream: ids of a scope that ended are used in the next one',
    within,
    file: 'src/ingest/stream/known-stream.ts',
    find: 'let refs = this.#refs.get(scope.epoch);',
    replace: 'let refs = this.#refs.get(scope.epoch) ?? this.#refs.values().next().value;',
  },
  {
    name: 'stream: a batch that came before is stored again',
    within,
    file: 'src/ingest/stream/batch-intake.ts',
    find: 'const isNew = batch.sequence > stream.taken;',
    replace: 'const isNew = true;',
  },
  {
    name: 'stream: a call opens without waiting for what the one before has on the way',
    within,
    edits: [
      {
        file: 'src/ingest/stream/stream-calls.ts',
        find: '      await this.#shard.writer.orRefused(stream.quiet());\n',
        replace: '',
      },
      {
        file: 'src/ingest/stream/known-stream.ts',
        find: "    assert(this.isQuiet, 'nothing of the stream is on the way');\n",
        replace: '',
      },
    ],
  },
  {
    name: 'stream: the doubt about a put is not waited for',
    within,
    file: 'src/ingest/stream/known-stream.ts',
    find: 'if (error instanceof WriteDoubtError) this.#waitForTruth(sequence, error.settled);',
    replace: '',
  },
  {
    name: 'stream: a refused batch is told before those in front of it are settled',
    within,
    file: 'src/ingest/stream/known-stream.ts',
    find: 'const refused = this.refused.filter(({ sequence }) => sequence <= this.settled);',
    replace: 'const { refused } = this;',
  },
];
