import { TephraError } from '../../base/errors.ts';
import type { Steps } from '../../base/steps.ts';
import { failWire } from '../pprof/wire.ts';
import { DELIMITED, FIXED_64, VARINT } from '../../base/wire-types.ts';
import { FieldWalk } from './field-walk.ts';
import { LayoutEvidence, LAYOUTS } from './layout.ts';
import type { OtlpLimits } from './limits.ts';

/** Broken messages after which nothing more is learned about the layout. */
const BROKEN_MAX = 16;
/** Rows of a table between two breaks. */
const ROWS_AT_ONCE = 4_096;

type Reason = ConstructorParameters<typeof TephraError>[0];

/**
 * The first pass over a request: enters every message, allocates nothing for what it finds, counts the rows
 * of each table against the limits, and tells old layouts, whose fields have the numbers of today's with
 * other wire types. After {@link run} every field of every message is known to lie inside its message, and
 * fields that are known have their wire type.
 */
export class OtlpScan {
  readonly #limits: OtlpLimits;
  readonly #walk: FieldWalk;
  #layout = new LayoutEvidence();
  #bytes: Uint8Array = new Uint8Array(0);
  /** The first message that is none; old layouts are told apart from damage at the end. */
  #broken: TephraError | undefined;
  #brokenCount = 0;

  /** Rows of the tables. */
  strings = 0;
  functions = 0;
  mappings = 0;
  locations = 0;
  lines = 0;
  links = 0;
  attributes = 0;
  stacks = 0;
  /** Locations of all stacks together. */
  frames = 0;
  profiles = 0;
  samples = 0;
  resources = 0;
  /** Where the dictionary is; a message that comes several times is one. */
  dictionaries: { from: number; to: number }[] = [];

  constructor(limits: OtlpLimits) {
    this.#limits = limits;
    this.#walk = new FieldWalk(limits.unknownFieldsMax);
  }

  /** Scans a request. Throws `otlp_layout`, `malformed_protobuf`, `empty_request` or the reason of a limit. */
  *run(bytes: Uint8Array): Steps<void> {
    this.#reset(bytes);
    try {
      yield* this.#request();
    } catch (thrown) {
      // What does not decode may be an old layout that was recognised before.
      this.#layout.check();
      throw thrown;
    }
    if (this.profiles > 0 && this.dictionaries.length === 0) this.#layout.add(LAYOUTS.upTo16);
    this.#layout.check();
    if (this.#broken !== undefined) throw this.#broken;
    if (this.resources === 0 && this.dictionaries.some(({ from, to }) => to > from)) {
      throw new TephraError('empty_request', 'a dictionary without resource_profiles');
    }
  }

  #reset(bytes: Uint8Array): void {
    this.#bytes = bytes;
    this.#layout = new LayoutEvidence();
    this.#broken = undefined;
    this.#brokenCount = 0;
    this.#walk.cursor.unknown = 0;
    this.strings = this.functions = this.mappings = this.locations = this.lines = 0;
    this.links = this.attributes = this.stacks = this.frames = 0;
    this.profiles = this.samples = this.resources = 0;
    this.dictionaries = [];
  }

  *#request(): Steps<void> {
    const walk = this.#walk;
    const end = this.#bytes.byteLength;
    for (let at = 0; at < end;) {
      walk.open(this.#bytes, at, end);
      const { no, from, to } = walk;
      at = to;
      if (no > 2) walk.cursor.countUnknown();
      else if (!this.#is(DELIMITED)) continue;
      else if (no === 1) yield* this.#resourceProfiles(from, to);
      else yield* this.#dictionary(from, to);
    }
  }

  *#resourceProfiles(start: number, end: number): Steps<void> {
    this.resources++;
    const walk = this.#walk;
    for (let at = start; at < end;) {
      walk.open(this.#bytes, at, end);
      const { no, from, to } = walk;
      at = to;
      if (no > 3) walk.cursor.countUnknown();
      else if (!this.#is(DELIMITED)) continue;
      else if (no === 1) this.#try(this.#resource, from, to);
      else if (no === 2) yield* this.#scopeProfiles(from, to);
    }
    yield;
  }

  *#scopeProfiles(start: number, end: number): Steps<void> {
    const walk = this.#walk;
    for (let at = start; at < end;) {
      walk.open(this.#bytes, at, end);
      const { no, from, to } = walk;
      at = to;
      if (no > 3) walk.cursor.countUnknown();
      else if (!this.#is(DELIMITED)) continue;
      else if (no === 1) this.#try(this.#scope, from, to);
      else if (no === 2) {
        this.profiles = this.#count(this.profiles, 'profiles_limit', this.#limits.otlpProfilesMax);
        this.#try(this.#profile, from, to);
        yield;
      }
    }
  }

  *#dictionary(start: number, end: number): Steps<void> {
    const walk = this.#walk;
    if (this.dictionaries.length >= this.#limits.otlpDictionariesMax) {
      failWire(`field 2 more than ${this.#limits.otlpDictionariesMax} times`);
    }
    this.dictionaries.push({ from: start, to: end });
    let rows = 0;
    for (let at = start; at < end;) {
      walk.open(this.#bytes, at, end);
      const { no, from, to } = walk;
      at = to;
      if (no > 7) walk.cursor.countUnknown();
      else if (this.#is(DELIMITED)) this.#row(no, from, to);
      if (++rows % ROWS_AT_ONCE === 0) yield;
    }
  }

  #row(table: number, from: number, to: number): void {
    const limits = this.#limits;
    switch (table) {
      case 1:
        this.mappings = this.#count(this.mappings, 'mappings_limit', limits.mappingsPerProfileMax);
        this.#try(this.#mapping, from, to);
        break;
      case 2:
        this.locations = this.#count(
          this.locations,
          'locations_limit',
          limits.locationsPerProfileMax,
        );
        this.#try(this.#location, from, to);
        break;
      case 3:
        this.functions = this.#count(
          this.functions,
          'functions_limit',
          limits.functionsPerProfileMax,
        );
        this.#try(this.#function, from, to);
        break;
      case 4:
        this.links = this.#count(this.links, 'otlp_table_limit', limits.otlpRowsMax);
        this.#try(this.#link, from, to);
        break;
      case 5:
        this.strings = this.#count(this.strings, 'strings_limit', limits.stringsPerProfileMax);
        break;
      case 6:
        this.attributes = this.#count(this.attributes, 'otlp_table_limit', limits.otlpRowsMax);
        this.#try(this.#attribute, from, to);
        break;
      default:
        this.stacks = this.#count(this.stacks, 'otlp_table_limit', limits.otlpRowsMax);
        this.#try(this.#stack, from, to);
    }
  }

  #profile(start: number, end: number): void {
    const walk = this.#walk;
    let types = 0;
    for (let at = start; at < end;) {
      walk.open(this.#bytes, at, end);
      const { no, from, to } = walk;
      at = to;
      switch (no) {
        case 1:
          if (++types > 1) this.#layout.add(LAYOUTS.upTo17);
          if (this.#is(DELIMITED)) this.#valueType(from, to);
          break;
        case 2:
          this.samples = this.#count(
            this.samples,
            'samples_limit',
            this.#limits.samplesPerProfileMax,
          );
          if (this.#is(DELIMITED)) this.#sample(from, to);
          break;
        case 3:
          this.#isOr(FIXED_64, DELIMITED, LAYOUTS.upTo17);
          break;
        case 4:
          this.#isOr(VARINT, DELIMITED, LAYOUTS.upTo15);
          break;
        case 5:
          if (this.#isOr(DELIMITED, VARINT, LAYOUTS.only16To17)) {
            this.#try(this.#valueType, from, to);
          }
          break;
        case 6:
          this.#isOr(VARINT, DELIMITED, LAYOUTS.upTo17);
          break;
        case 7:
          this.#isOr(DELIMITED, VARINT, LAYOUTS.only16To17);
          break;
        case 8:
          this.#isOr(VARINT, DELIMITED, LAYOUTS.upTo18);
          break;
        case 9:
          this.#isOr(DELIMITED, VARINT, LAYOUTS.only16To18);
          break;
        case 10:
          this.#is(DELIMITED);
          break;
        case 11:
          if (this.#isOr(DELIMITED, VARINT, LAYOUTS.upTo17)) this.#numbers(from, to);
          break;
        default:
          this.#layout.add(LAYOUTS.upTo18);
      }
    }
  }

  #sample(start: number, end: number): void {
    const walk = this.#walk;
    let isCounted = false;
    for (let at = start; at < end;) {
      walk.open(this.#bytes, at, end);
      const { no, from, to } = walk;
      at = to;
      switch (no) {
        case 1:
          this.#is(VARINT);
          break;
        case 2:
          if (this.#isOr(DELIMITED, VARINT, LAYOUTS.upTo17)) this.#numbers(from, to);
          break;
        case 3:
          this.#isOr(VARINT, DELIMITED, LAYOUTS.upTo19);
          break;
        case 4:
          isCounted = true;
          if (this.#isOr(DELIMITED, VARINT, LAYOUTS.only18To19)) this.#numbers(from, to);
          break;
        case 5:
          isCounted = true;
          if (this.#isOr(DELIMITED, VARINT, LAYOUTS.upTo17, FIXED_64) && (to - from) % 8 !== 0) {
            this.#fail(`timestamps of ${to - from} bytes at byte ${from}`);
          }
          break;
        case 6:
          this.#layout.add(LAYOUTS.upTo17);
          break;
        default:
          walk.cursor.countUnknown();
      }
    }
    if (!isCounted) this.#layout.add(LAYOUTS.only18To19);
  }

  #valueType(start: number, end: number): void {
    const walk = this.#walk;
    for (let at = start; at < end; at = walk.to) {
      walk.open(this.#bytes, at, end);
      if (walk.no < 3) this.#is(VARINT);
      else if (walk.no === 3) this.#layout.add(LAYOUTS.upTo18);
      else walk.cursor.countUnknown();
    }
  }

  #mapping(start: number, end: number): void {
    const walk = this.#walk;
    for (let at = start; at < end;) {
      walk.open(this.#bytes, at, end);
      const { no, from, to } = walk;
      at = to;
      if (no < 5) this.#is(VARINT);
      else if (no === 5) this.#numbersOrOne(from, to);
      else if (no < 10) this.#layout.add(LAYOUTS.upTo17);
      else walk.cursor.countUnknown();
    }
  }

  #location(start: number, end: number): void {
    const walk = this.#walk;
    const before = this.lines;
    for (let at = start; at < end;) {
      walk.open(this.#bytes, at, end);
      const { no, from, to } = walk;
      at = to;
      if (no < 3) this.#is(VARINT);
      else if (no === 3) {
        this.lines = this.#count(
          this.lines,
          'location_lines_limit',
          this.#limits.linesPerProfileMax,
        );
        if (this.#is(DELIMITED)) this.#plain(from, to, 3);
      } else if (no === 4) {
        if (this.#isOr(DELIMITED, VARINT, LAYOUTS.upTo17)) this.#numbers(from, to);
      } else if (no === 5) this.#layout.add(LAYOUTS.upTo17);
      else walk.cursor.countUnknown();
    }
    const linesMax = this.#limits.linesPerLocationMax;
    if (this.lines - before > linesMax) {
      const found = `location ${this.locations - 1}: ${this.lines - before} > ${linesMax}`;
      throw new TephraError('location_lines_limit', found);
    }
  }

  #function(start: number, end: number): void {
    this.#plain(start, end, 4);
  }

  /** A message whose fields 1 to `known` are varints. */
  #plain(start: number, end: number, known: number): void {
    const walk = this.#walk;
    for (let at = start; at < end; at = walk.to) {
      walk.open(this.#bytes, at, end);
      if (walk.no <= known) this.#is(VARINT);
      else walk.cursor.countUnknown();
    }
  }

  #link(start: number, end: number): void {
    const walk = this.#walk;
    for (let at = start; at < end; at = walk.to) {
      walk.open(this.#bytes, at, end);
      if (walk.no <= 2) this.#is(DELIMITED);
      else walk.cursor.countUnknown();
    }
  }

  #attribute(start: number, end: number): void {
    const walk = this.#walk;
    for (let at = start; at < end;) {
      walk.open(this.#bytes, at, end);
      const { no, from, to } = walk;
      at = to;
      if (no === 1) this.#isOr(VARINT, DELIMITED, LAYOUTS.only17);
      else if (no === 2) {
        if (this.#is(DELIMITED)) this.#value(from, to, 0);
      } else if (no === 3) this.#is(VARINT);
      else walk.cursor.countUnknown();
    }
  }

  #stack(start: number, end: number): void {
    const walk = this.#walk;
    let depth = 0;
    for (let at = start; at < end;) {
      walk.open(this.#bytes, at, end);
      const { no, from, to } = walk;
      at = to;
      if (no === 1) {
        if (this.#isOr(DELIMITED, VARINT, LAYOUTS.only17)) depth += this.#numbers(from, to);
      } else if (no === 2) this.#layout.add(LAYOUTS.only17);
      else walk.cursor.countUnknown();
    }
    const { stackDepthMax, framesPerProfileMax } = this.#limits;
    if (depth > stackDepthMax) {
      throw new TephraError('stack_depth', `stack ${this.stacks - 1}: ${depth} > ${stackDepthMax}`);
    }
    this.frames += depth;
    if (this.frames > framesPerProfileMax) {
      throw new TephraError('total_frames_limit', `more than ${framesPerProfileMax}`);
    }
  }

  #resource(start: number, end: number): void {
    this.#attributesIn(start, end, 1, 0b100);
  }

  #scope(start: number, end: number): void {
    this.#attributesIn(start, end, 3, 0b10000);
  }

  /** A resource or a scope: attributes in field `attributes`; of `numbers` (by bit) varints, else texts. */
  #attributesIn(start: number, end: number, attributes: number, numbers: number): void {
    const walk = this.#walk;
    for (let at = start; at < end;) {
      walk.open(this.#bytes, at, end);
      const { no, from, to } = walk;
      at = to;
      if (no > attributes + 2) walk.cursor.countUnknown();
      else if (!this.#is(((numbers >> no) & 1) === 1 ? VARINT : DELIMITED)) continue;
      else if (no === attributes) this.#keyValue(from, to, 0);
    }
  }

  #keyValue(start: number, end: number, depth: number): void {
    const walk = this.#walk;
    for (let at = start; at < end;) {
      walk.open(this.#bytes, at, end);
      const { no, from, to } = walk;
      at = to;
      if (no === 1) this.#is(DELIMITED);
      else if (no === 2) {
        if (this.#is(DELIMITED)) this.#value(from, to, depth);
      } else if (no === 3) this.#is(VARINT);
      else walk.cursor.countUnknown();
    }
  }

  #value(start: number, end: number, depth: number): void {
    const { otlpValueDepthMax } = this.#limits;
    if (depth > otlpValueDepthMax) {
      throw new TephraError('nesting_too_deep', `a value of more than ${otlpValueDepthMax} levels`);
    }
    const walk = this.#walk;
    for (let at = start; at < end;) {
      walk.open(this.#bytes, at, end);
      const { no, from, to } = walk;
      at = to;
      if (no === 1 || no === 7) this.#is(DELIMITED);
      else if (no === 2 || no === 3 || no === 8) this.#is(VARINT);
      else if (no === 4) this.#is(FIXED_64);
      else if (no === 5 || no === 6) {
        if (this.#is(DELIMITED)) this.#list(from, to, no === 6, depth + 1);
      } else walk.cursor.countUnknown();
    }
  }

  #list(start: number, end: number, isMap: boolean, depth: number): void {
    const walk = this.#walk;
    for (let at = start; at < end;) {
      walk.open(this.#bytes, at, end);
      const { no, from, to } = walk;
      at = to;
      if (no !== 1) walk.cursor.countUnknown();
      else if (!this.#is(DELIMITED)) continue;
      else if (isMap) this.#keyValue(from, to, depth);
      else this.#value(from, to, depth);
    }
  }

  /** Numbers of a packed list. Throws `malformed_protobuf`. */
  #numbers(start: number, end: number): number {
    let count = 0;
    let size = 0;
    for (let at = start; at < end; at++) {
      if (++size > 10) failWire(`varint longer than 10 bytes before byte ${at}`);
      if ((this.#bytes[at] as number) >= 0x80) continue;
      size = 0;
      count++;
    }
    if (size > 0) failWire(`truncated varint before byte ${end}`);
    return count;
  }

  #numbersOrOne(from: number, to: number): void {
    if (this.#walk.wireType === DELIMITED) this.#numbers(from, to);
    else this.#is(VARINT);
  }

  /** Whether the field has this wire type; if not, that is noted. */
  #is(wireType: number): boolean {
    if (this.#walk.wireType === wireType) return true;
    const { no, wireType: found, from } = this.#walk;
    this.#fail(`field ${no} must not have wire type ${found}, before byte ${from}`);
    return false;
  }

  /** As {@link #is}; with the wire type `old`, the field is one of the old `layouts`. */
  #isOr(wireType: number, old: number, layouts: number, also = wireType): boolean {
    if (this.#walk.wireType === old) {
      this.#layout.add(layouts);
      return false;
    }
    return this.#walk.wireType === also ? also === wireType : this.#is(wireType);
  }

  /** Enters a message. If it is none, that is noted. */
  #try(enter: (from: number, to: number) => void, from: number, to: number): void {
    try {
      enter.call(this, from, to);
    } catch (thrown) {
      const error = TephraError.from(thrown);
      if (error.reason !== 'malformed_protobuf') throw thrown;
      this.#note(error);
    }
  }

  #fail(detail: string): void {
    if (this.#broken === undefined) this.#note(new TephraError('malformed_protobuf', detail));
    else this.#note(this.#broken);
  }

  #note(error: TephraError): void {
    this.#broken ??= error;
    if (++this.#brokenCount > BROKEN_MAX) throw this.#broken;
  }

  #count(before: number, reason: Reason, max: number): number {
    if (before >= max) throw new TephraError(reason, `more than ${max}`);
    return before + 1;
  }
}
