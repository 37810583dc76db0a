import type { Random } from '../../src/base/random.ts';
import { encodeFields, parseFields, type Shape, type WireField } from './wire-tree.ts';

/** A message among the fields of an input, the input itself too. */
interface Place {
  readonly shape: Shape;
  readonly fields: WireField[];
}

/** Numbers at which readers change their ways. */
const EDGES = [7n, 14n, 28n, 31n, 32n, 53n, 63n, 64n].flatMap((bits) => [
  (1n << bits) - 1n,
  BigInt.asUintN(64, 1n << bits),
  BigInt.asUintN(64, (1n << bits) + 1n),
]);

/**
 * A mutant of a protobuf message that is one too, nearly always: other numbers, rows, orders and texts, the same
 * field several times, packed columns in pieces. So it comes as far as the checks of what a message says.
 */
export function wireMutant(
  pool: readonly Uint8Array[],
  shape: Shape,
  words: readonly string[],
  random: Random,
): Uint8Array {
  const pick = (count: number): number => random.u32() % Math.max(1, count);
  const any = <T>(list: readonly T[]): T | undefined => list[pick(list.length)];
  const parse = (): Place => ({ shape, fields: parseFields(any(pool) as Uint8Array, shape) });
  const top = parse();
  const all = placesOf(top);
  for (let steps = 1 + pick(3); steps > 0; steps--) {
    // A step that finds nothing to change gives way to another.
    for (let tries = 0; tries < 8; tries++) {
      if (changed(any(all) as Place, { pick, any, parse, words })) break;
    }
  }
  return encodeFields(top.fields);
}

interface Means {
  readonly pick: (count: number) => number;
  readonly any: <T>(list: readonly T[]) => T | undefined;
  readonly parse: () => Place;
  readonly words: readonly string[];
}

/** Changes a message; false if it has nothing of the kind. */
function changed(place: Place, { pick, any, parse, words }: Means): boolean {
  const { fields } = place;
  const at = pick(fields.length);
  const field = fields[at];
  if (field === undefined) return false;
  switch (pick(14)) {
    case 0:
      fields.splice(at, 1);
      return true;
    case 1:
      fields.splice(pick(fields.length + 1), 0, copyOf(field));
      return true;
    case 2:
      fields.splice(pick(fields.length), 0, ...fields.splice(at, 1));
      return true;
    case 3: {
      const others = placesOf(parse()).filter((one) => one.shape === place.shape);
      const graft = any(any(others)?.fields ?? []);
      if (graft === undefined) return false;
      fields.splice(pick(fields.length + 1), 0, copyOf(graft));
      return true;
    }
    case 4:
      return rowChanged(fields, pick);
    case 5: {
      if (field.kind !== 'packed') return false;
      const rest = field.values.splice(pick(field.values.length + 1));
      fields.splice(at + 1, 0, { no: field.no, kind: 'packed', values: rest });
      return true;
    }
    case 6: {
      if (field.kind !== 'packed') return false;
      const singles = field.values.map(
        (value) => ({ no: field.no, kind: 'number', value }) as const,
      );
      fields.splice(at, 1, ...singles);
      return true;
    }
    case 7: {
      if (field.kind !== 'packed') return false;
      const from = pick(field.values.length + 1);
      if (pick(2) === 0) field.values.splice(from, 1 + pick(3));
      else field.values.splice(from, 0, EDGES[pick(EDGES.length)] ?? 0n);
      return true;
    }
    case 8: {
      if (field.kind !== 'bytes') return false;
      const word = Buffer.from(any(words) ?? '');
      const cut = pick(field.bytes.byteLength + 1);
      const rest = field.bytes.subarray(pick(2) === 0 ? cut : field.bytes.byteLength);
      field.bytes = new Uint8Array(Buffer.concat([field.bytes.subarray(0, cut), word, rest]));
      return true;
    }
    default: {
      const numbers = fields.filter(({ kind }) => kind === 'number' || kind === 'packed');
      return numberChanged(any(numbers), pick);
    }
  }
}

/** Takes a row out of all packed columns of one length (or a multiple of it), or doubles it. */
function rowChanged(fields: readonly WireField[], pick: Means['pick']): boolean {
  const columns = fields.filter((field) => field.kind === 'packed');
  const rows = columns[pick(columns.length)]?.values.length ?? 0;
  if (rows === 0) return false;
  const row = pick(rows);
  const isTaken = pick(2) === 0;
  for (const { values } of columns) {
    if (values.length % rows !== 0) continue;
    for (let at = values.length - rows + row; at >= 0; at -= rows) {
      if (isTaken) values.splice(at, 1);
      else values.splice(at, 0, values[at] as bigint);
    }
  }
  return true;
}

function numberChanged(field: WireField | undefined, pick: Means['pick']): boolean {
  if (field?.kind === 'number') {
    field.value = otherNumber(field.value, [field.value], pick);
    return true;
  }
  if (field?.kind !== 'packed' || field.values.length === 0) return false;
  const at = pick(field.values.length);
  field.values[at] = otherNumber(field.values[at] as bigint, field.values, pick);
  return true;
}

function otherNumber(value: bigint, beside: readonly bigint[], pick: Means['pick']): bigint {
  const kind = pick(6);
  if (kind === 0) return EDGES[pick(EDGES.length)] as bigint;
  if (kind === 1) return BigInt(pick(20));
  if (kind === 2) return beside[pick(beside.length)] as bigint;
  if (kind === 3) return value ^ (1n << BigInt(pick(64)));
  return BigInt.asUintN(64, value + BigInt(pick(5) - 2));
}

function placesOf(top: Place): Place[] {
  const places = [top];
  for (const place of places) {
    for (const field of place.fields) if (field.kind === 'message') places.push(field);
  }
  return places;
}

function copyOf(field: WireField): WireField {
  if (field.kind === 'packed') return { ...field, values: [...field.values] };
  if (field.kind === 'message') return { ...field, fields: field.fields.map(copyOf) };
  return { ...field };
}
