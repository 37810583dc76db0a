import { LIMITS } from '../../../base/limits.ts';
import { parseProfileType } from '../../../profile/profile-type.ts';
import type { EncodedAnswer } from '../../../query/request.ts';
import { answerBytes, wholeAnswer } from '../../answer/answer.ts';
import type { RouteAnswer } from '../routes.ts';
import { replyNotes } from '../../rpc/encoded.ts';
import { DELIMITED } from '../../../base/wire-types.ts';
import { Span } from '../../answer/span.ts';

/** Field of the flame graph in the answers of merge and diff ... */
const FLAMEGRAPH = 1;
/** ... and those in it; the last two only of a diff. */
const NAMES = 1;
const LEVELS = 2;
const TOTAL = 3;
const MAX_SELF = 4;
const LEFT_TICKS = 5;
const RIGHT_TICKS = 6;
/** Field of a level. */
const VALUES = 1;

/** Characters of a slice, about. */
const SLICE_CHARS = 64 * 1_024;

/** What a viewer needs to know of a flamebearer. */
export interface Metadata {
  /** Groups of four, or of seven. */
  readonly format: 'single' | 'double';
  readonly spyName: string;
  /** Units of a value in a second, where there are such. */
  readonly sampleRate: number;
  readonly units: string;
  /** The sample type. */
  readonly name: string;
}

/** What comes behind the flamebearer of an answer. */
export interface Rest {
  /** Members of the answer, each with a comma in front. */
  readonly pieces: Iterable<string>;
  /** Bytes that they take, about. */
  readonly byteLength: number;
}

/** Sample types that count objects. */
const OBJECTS = new Set(['inuse_objects', 'alloc_objects', 'goroutine', 'samples']);

/** The metadata of a five-part type id: viewers tell from it how values are shown. */
export function metadataOf(profileType: string, format: Metadata['format']): Metadata {
  const { type, unit } = parseProfileType(profileType);
  const shown = { format, spyName: '' };
  if (type === 'cpu') return { ...shown, sampleRate: 1e9, units: 'samples', name: type };
  return { ...shown, sampleRate: 100, units: OBJECTS.has(type) ? 'objects' : unit, name: type };
}

/**
 * The flame graph of a `SelectMergeStacktracesResponse` or `DiffResponse` as flamebearer JSON. Numbers have
 * all their digits, also beyond 2^53, where JavaScript's own `JSON.parse` rounds them. A large one is
 * written as it is read.
 */
export function flamebearerAnswer(
  answer: EncodedAnswer,
  metadata: Metadata,
  rest: Rest = { pieces: [], byteLength: 0 },
): RouteAnswer {
  const { front, notes } = answer;
  const shape = {
    status: 200,
    contentType: 'application/json',
    headers: replyNotes({ encoded: { bytes: answer.bytes, notes } }),
  };
  const byteLength = answerBytes(answer) + rest.byteLength;
  if (front === undefined && byteLength < LIMITS.slicedJsonBytes) {
    return { ...shape, body: [...flamebearerJson(answer.bytes, metadata, rest)].join('') };
  }
  const slices = slicesOfJson(answer, metadata, rest);
  return { ...shape, body: { byteLength, front, slices, isPlain: true } };
}

/** It goes back and forth in the message: one on disk comes to memory when it is asked for. */
async function* slicesOfJson(
  answer: EncodedAnswer,
  metadata: Metadata,
  rest: Rest,
): AsyncGenerator<Uint8Array> {
  const { bytes } = await wholeAnswer(answer);
  let text = '';
  for (const piece of flamebearerJson(bytes, metadata, rest)) {
    text += piece;
    if (text.length < SLICE_CHARS) continue;
    yield Buffer.from(text);
    text = '';
  }
  yield Buffer.from(text);
}

function* flamebearerJson(bytes: Uint8Array, metadata: Metadata, rest: Rest): Generator<string> {
  const graph = flameGraphOf(bytes);
  const ticks = new Map<number, string>();
  for (const { number, wire, value } of fieldsOf(graph)) {
    if (wire !== DELIMITED) ticks.set(number, value.int64());
  }
  const tick = (number: number): string => ticks.get(number) ?? '0';
  yield '{"version":1,"flamebearer":{"names":[';
  let comma = '';
  for (const { number, value } of fieldsOf(graph)) {
    if (number !== NAMES) continue;
    yield comma + JSON.stringify(value.text());
    comma = ',';
  }
  yield '],"levels":[';
  comma = '';
  for (const { number, value } of fieldsOf(graph)) {
    if (number !== LEVELS) continue;
    yield `${comma}[`;
    for (const level of fieldsOf(value.delimited())) {
      if (level.number === VALUES) yield* numbersOf(level.value.delimited());
    }
    yield ']';
    comma = ',';
  }
  yield `],"numTicks":${tick(TOTAL)},"maxSelf":${tick(MAX_SELF)}}`;
  yield `,"metadata":${JSON.stringify(metadata)}`;
  if (metadata.format === 'double') {
    yield `,"leftTicks":${tick(LEFT_TICKS)},"rightTicks":${tick(RIGHT_TICKS)}`;
  }
  yield* rest.pieces;
  yield '}';
}

function flameGraphOf(bytes: Uint8Array): Span {
  for (const { number, value } of fieldsOf(new Span(bytes, 0, bytes.byteLength))) {
    if (number === FLAMEGRAPH) return value.delimited();
  }
  return new Span(bytes, 0, 0);
}

/** The fields of a message in their order, each with what lies from its value on. */
function* fieldsOf(message: Span): Generator<{ number: number; wire: number; value: Span }> {
  const walk = message.again();
  while (walk.at < walk.end) {
    const tag = walk.varint();
    const value = walk.again();
    walk.skip(tag & 7);
    yield { number: Math.floor(tag / 8), wire: tag & 7, value };
  }
}

/** Packed numbers, separated by commas, in pieces that are not too small. */
function* numbersOf(packed: Span): Generator<string> {
  let text = '';
  while (packed.at < packed.end) {
    text += packed.int64();
    if (packed.at < packed.end) text += ',';
    if (text.length < SLICE_CHARS) continue;
    yield text;
    text = '';
  }
  yield text;
}
