import { PERIOD_NANOS } from '../fleet.mjs';
import { ProtoWriter } from '../proto-writer.mjs';

const MINUTE_MS = 60_000;
const BINARY = '/usr/local/bin/server';
const BUILD_ID = 'b1946ac92492d2347c6235b4d2611184b1946ac9';
const TYPES = [
  'process_cpu:samples:count:cpu:nanoseconds',
  'process_cpu:cpu:nanoseconds:cpu:nanoseconds',
];

/**
 * What one pod's agent sends over `tephra.v1.IngestService/Stream`: messages of one epoch, written by the
 * bench itself from docs/protocol/stream.md. Not by `tephradb/client`, because they are made before the clock
 * starts.
 */
export class PodStream {
  #fleet;
  #service;
  #pod;
  #sequence = 0;
  #strings = new Map();
  #frames = new Map();
  #stacks = new Map();
  #hasSeries = false;

  constructor(fleet, service, pod) {
    this.#fleet = fleet;
    this.#service = service;
    this.#pod = pod;
  }

  /** The first message; `instance` is 16 bytes. */
  open(instance) {
    const { labels } = this.#fleet.samples(this.#service, this.#pod, 0);
    return new ProtoWriter(512)
      .message(1, (open) => {
        open.uint(1, 1).bytes(2, instance).text(3, 'bench');
        for (const [name, value] of labels) {
          if (name !== '__name__') {
            open.message(4, (label) => label.text(1, name).text(2, value));
          }
        }
        open.uint(5, 1);
      })
      .finish();
  }

  /** The next batch: a part for each of the minutes. */
  batch(minutes) {
    const added = { strings: [], frames: [], stacks: [] };
    const first = {
      string: this.#strings.size + 1,
      frame: this.#frames.size + 1,
      stack: this.#stacks.size + 1,
    };
    let entries = 0;
    const parts = minutes.map((minute) => {
      const { startMs, stacks, ticks } = this.#fleet.samples(this.#service, this.#pod, minute);
      const samples = stacks
        .map((stack, i) => [this.#stack(stack, added), ticks[i]])
        .sort(([a], [b]) => a - b);
      entries += samples.length;
      return { startMs, samples };
    });
    const message = new ProtoWriter(64 * 1024).message(2, (batch) => {
      batch.uint(1, ++this.#sequence).uint(2, 1);
      batch.message(3, (additions) => this.#writeAdditions(additions, first, added));
      for (const part of parts) batch.message(4, (writer) => writePart(writer, part));
    });
    return { bytes: message.finish(), entries, profiles: parts.length };
  }

  #writeAdditions(writer, first, { strings, frames, stacks }) {
    if (strings.length > 0) writer.uint(1, first.string);
    for (const text of strings) writer.text(2, text);
    if (frames.length > 0) {
      writer.uint(3, first.frame).message(4, (columns) => {
        const column = (field, of) => columns.packed(field, frames.map(of));
        column(1, ({ name }) => name);
        column(2, ({ path }) => path);
        column(3, ({ line }) => line);
        column(7, ({ binary }) => binary);
        column(8, ({ build }) => build);
      });
    }
    if (stacks.length > 0) {
      writer.uint(5, first.stack);
      writer.packed(
        6,
        stacks.map(([parent]) => parent),
      );
      writer.packed(
        7,
        stacks.map(([, frame]) => frame),
      );
    }
    if (this.#hasSeries) return;
    this.#hasSeries = true;
    writer.uint(8, 1).message(9, (series) => {
      for (const type of TYPES) {
        series.message(2, (one) => one.text(1, type).uint(2, PERIOD_NANOS));
      }
    });
  }

  /** Id of a stack given from its leaf; each beginning of it is a row too. */
  #stack(locations, added) {
    let id = 0;
    for (let i = locations.length - 1; i >= 0; i--) {
      const frame = this.#frame(locations[i], added);
      id = known(this.#stacks, id * 2 ** 24 + frame, () => added.stacks.push([id, frame]));
    }
    return id;
  }

  #frame(location, added) {
    return known(this.#frames, location, () => {
      const { name, path, line } = this.#fleet.location(this.#service, location);
      added.frames.push({
        name: this.#string(name, added),
        path: this.#string(path, added),
        line,
        binary: this.#string(BINARY, added),
        build: this.#string(BUILD_ID, added),
      });
    });
  }

  #string(text, added) {
    return known(this.#strings, text, () => added.strings.push(text));
  }
}

/** Id of a key from 1 in order of first sight; `add` is called for a new one. */
function known(ids, key, add) {
  let id = ids.get(key);
  if (id === undefined) {
    add();
    id = ids.size + 1;
    ids.set(key, id);
  }
  return id;
}

/** Counts in one column, which both types read: as they are, and times the period. */
function writePart(writer, { startMs, samples }) {
  let before = 0;
  const deltas = samples.map(([stack]) => {
    const delta = stack - before;
    before = stack;
    return delta < 0 ? -2 * delta - 1 : 2 * delta;
  });
  writer
    .uint(1, 1)
    .uint(2, startMs)
    .uint(3, MINUTE_MS)
    .packed(4, deltas)
    .packed(
      5,
      samples.map(([, ticks]) => ticks),
    )
    .packed(6, [0, 0])
    .packed(7, [1, PERIOD_NANOS]);
}
