import {
  create,
  createFileRegistry,
  fromBinary,
  ScalarType,
  toBinary,
  toJsonString,
  type DescField,
  type DescMessage,
} from '@bufbuild/protobuf';
import {
  FieldDescriptorProto_Label as Label,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from '@bufbuild/protobuf/wkt';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ProfileSchema } from '../../../src/gen/google/v1/profile_pb.ts';
import {
  DiffResponseSchema as QuerierDiffResponseSchema,
  SelectMergeSpanProfileResponseSchema,
  SelectMergeStacktracesResponseSchema,
} from '../../../src/gen/querier/v1/querier_pb.ts';
import {
  DiffResponseSchema,
  MergeResponseSchema,
  MergeStreamResponseSchema,
  TopFunctionsResponseSchema,
} from '../../../src/gen/tephra/v1/query_pb.ts';
import { ProtoWriter } from '../../../src/query/encode/proto-writer.ts';
import type { AnswerFront } from '../../../src/query/request.ts';
import {
  canSliceJson,
  jsonSlices,
  type JsonSizes,
} from '../../../src/server/answer/json-slices.ts';

/** Every answer that our own encoders write, all of which may be large. */
const ANSWERS = [
  ProfileSchema,
  SelectMergeStacktracesResponseSchema,
  SelectMergeSpanProfileResponseSchema,
  QuerierDiffResponseSchema,
  MergeResponseSchema,
  MergeStreamResponseSchema,
  DiffResponseSchema,
  TopFunctionsResponseSchema,
];

/** A message with all there is but maps and groups: fields alone, in lists, in a oneof, within itself. */
function everything(): DescMessage {
  const types = Object.values(ScalarType).filter((type) => typeof type === 'number');
  const field = (name: string, number: number, type: number, label = Label.OPTIONAL) => ({
    name,
    jsonName: name.replace('_', ''),
    number,
    type: type as never,
    label,
  });
  const named = { typeName: '.every.Every', type: 11 as never };
  const file = create(FileDescriptorProtoSchema, {
    name: 'every.proto',
    package: 'every',
    syntax: 'proto3',
    enumType: [{ name: 'Kind', value: [{ name: 'NONE' }, { name: 'SOME', number: 7 }] }],
    messageType: [
      {
        name: 'Every',
        oneofDecl: [{ name: 'either' }, { name: '_present' }],
        field: [
          // Not in the order of their numbers.
          ...types.map((type) => field(`last_${type}`, 400 + type, type)),
          ...types.map((type) => field(`one_${type}`, type, type)),
          ...types.map((type) => field(`many_${type}`, 40 + type, type, Label.REPEATED)),
          ...types
            .filter((type) => type !== ScalarType.STRING && type !== ScalarType.BYTES)
            .map((type) => ({
              ...field(`loose_${type}`, 80 + type, type, Label.REPEATED),
              options: { packed: false },
            })),
          { ...field('kind', 200, 14), typeName: '.every.Kind' },
          { ...field('kinds', 201, 14, Label.REPEATED), typeName: '.every.Kind' },
          { ...field('present', 202, 5), proto3Optional: true, oneofIndex: 1 },
          { ...field('inner', 203, 11), ...named },
          { ...field('inners', 204, 11, Label.REPEATED), ...named },
          { ...field('a', 205, 9), oneofIndex: 0 },
          { ...field('b', 206, 11), ...named, oneofIndex: 0 },
          { ...field('with_a_name', 207, 8), jsonName: 'a "name" \u00e9' },
        ],
      },
    ],
  });
  const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: [file] }));
  return registry.getMessage('every.Every') as DescMessage;
}

const EVERY = everything();

const texts = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 30 }),
  fc.string({ unit: 'grapheme', maxLength: 30 }),
  fc.constantFrom('', 'main.work', '\ufeff', '\u2028"\\\u0000\u007f', '\u{1f525}'.repeat(20)),
);

function scalars(type: ScalarType): fc.Arbitrary<unknown> {
  switch (type) {
    case ScalarType.STRING:
      return texts;
    case ScalarType.BYTES:
      return fc.uint8Array({ maxLength: 70 });
    case ScalarType.BOOL:
      return fc.boolean();
    case ScalarType.DOUBLE:
      return fc.double();
    case ScalarType.FLOAT:
      return fc.float();
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return fc.oneof(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.bigInt(-9n, 9n));
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return fc.oneof(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.bigInt(0n, 2n ** 50n));
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return fc.integer({ min: 0, max: 2 ** 32 - 1 });
    default:
      return fc.integer();
  }
}

function valueOf(field: DescField, depth: number): fc.Arbitrary<unknown> {
  if (field.message !== undefined) return messages(field.message, depth - 1);
  if (field.enum !== undefined) return fc.constantFrom(0, 7, -1, 99);
  return scalars(field.scalar);
}

/** What a message may be made of, down to so many levels. */
function messages(desc: DescMessage, depth: number): fc.Arbitrary<object> {
  const shape: Record<string, fc.Arbitrary<unknown>> = {};
  for (const field of desc.fields) {
    if (field.message !== undefined && depth === 0) continue;
    if (field.oneof !== undefined) {
      const value = valueOf(field, depth).map((given) => ({ case: field.localName, value: given }));
      const others = shape[field.oneof.localName];
      shape[field.oneof.localName] = others === undefined ? value : fc.oneof(others, value);
    } else if (field.fieldKind === 'list') {
      shape[field.localName] = fc.array(valueOf(field, depth), { maxLength: 6 });
    } else {
      shape[field.localName] = valueOf(field, depth);
    }
  }
  return fc.record(shape, { requiredKeys: [] });
}

/** The text as it is sent; slices are used before the next one but one is asked for. */
async function textOf(
  desc: DescMessage,
  answer: { bytes: Uint8Array; front?: AnswerFront | undefined },
  sizes?: JsonSizes,
): Promise<string> {
  const parts: Buffer[] = [];
  for await (const slice of jsonSlices(desc, answer, sizes)) parts.push(Buffer.from(slice));
  return Buffer.concat(parts).toString();
}

/** The same bytes, so many of them on disk. */
function onDisk(bytes: Uint8Array, count: number): { bytes: Uint8Array; front: AnswerFront } {
  const front: AnswerFront = {
    byteLength: count,
    read: (offset, into) => {
      // Never more than asked for, and at times less.
      const part = bytes.subarray(offset, Math.min(count, offset + into.byteLength));
      const given = part.subarray(0, Math.max(1, part.byteLength - (offset % 3)));
      into.set(given);
      return Promise.resolve(given.byteLength);
    },
    close: () => {},
  };
  return { bytes: bytes.subarray(count), front };
}

const theirs = (desc: DescMessage, bytes: Uint8Array): string =>
  toJsonString(desc, fromBinary(desc, bytes));

test.each([...ANSWERS, EVERY].map((desc) => [desc.typeName, desc] as const))(
  '%s is written as the library writes it, from memory and through any window',
  async (_, desc) => {
    const answers = fc.array(messages(desc, desc === EVERY ? 1 : 3), {
      minLength: 1,
      maxLength: 2,
    });
    const sizes = fc.record({
      windowBytes: fc.oneof(fc.integer({ min: 16, max: 64 }), fc.constant(10_000)),
      sliceBytes: fc.integer({ min: 1, max: 64 }),
    });
    await fc.assert(
      fc.asyncProperty(
        answers,
        sizes,
        fc.double({ min: 0, max: 1, noNaN: true }),
        async (parts, s, cut) => {
          // Two messages behind each other are one: its fields come in parts, and in no order.
          const bytes = Buffer.concat(parts.map((part) => toBinary(desc, create(desc, part))));
          const expected = theirs(desc, bytes);
          expect(await textOf(desc, { bytes })).toBe(expected);
          const answer = onDisk(bytes, Math.round(cut * bytes.byteLength));
          expect(await textOf(desc, answer, s)).toBe(expected);
        },
      ),
      { numRuns: 60 },
    );
  },
  60_000,
);

/** A profile with a text that has surrogates without their pairs, as our encoders write it. */
function oddProfile(): Uint8Array {
  const writer = new ProtoWriter();
  for (let i = 0; i < 3; i++) {
    const sample = writer.begin(2);
    const path = writer.begin(1);
    for (let id = 0; id < 40; id++) writer.uint(id * 97);
    writer.end(path);
    const value = writer.begin(2);
    writer.wide(2 ** 31 - 1, 2 ** 32 - 1);
    writer.end(value);
    writer.end(sample);
  }
  // A message and a list without anything.
  writer.end(writer.begin(2));
  const empty = writer.begin(2);
  writer.end(writer.begin(1));
  writer.end(empty);
  for (const text of [
    '',
    '\ud800',
    'a\udc00b',
    '\ud83d\ude00 is a "face"',
    'caf\u00e9'.repeat(30),
  ]) {
    writer.text(6, text);
  }
  // No field has this number.
  writer.text(99, 'unknown');
  writer.field(12, 5);
  return writer.finish().bytes;
}

test('windows and slices of every size, and a disk that ends anywhere', async () => {
  const bytes = oddProfile();
  const expected = theirs(ProfileSchema, bytes);
  expect(expected).toContain('\ufffd');
  for (let size = 16; size <= bytes.byteLength + 1; size++) {
    const sizes = { windowBytes: size, sliceBytes: size - 15 };
    expect(await textOf(ProfileSchema, onDisk(bytes, bytes.byteLength), sizes)).toBe(expected);
  }
  for (let count = 0; count <= bytes.byteLength; count++) {
    expect(await textOf(ProfileSchema, onDisk(bytes, count), { windowBytes: 50 })).toBe(expected);
  }
});

test('a long text and long bytes are cut between characters and groups', async () => {
  const desc = SelectMergeStacktracesResponseSchema;
  for (const unit of ['a', '\u00e9', '\u20ac', '\u{1f525}', '"']) {
    const dot = `${unit}x`.repeat(60_000);
    const tree = new Uint8Array(100_001).map((_, i) => i);
    const bytes = toBinary(desc, create(desc, { dot, tree }));
    const expected = theirs(desc, bytes);
    expect((await textOf(desc, { bytes })) === expected).toBe(true);
    const fromDisk = await textOf(desc, onDisk(bytes, bytes.byteLength));
    expect(fromDisk === expected).toBe(true);
  }
});

test('a large message comes in slices that are made one by one, in four buffers', async () => {
  const names = Array.from({ length: 100_000 }, (_, i) => `function ${i}`);
  const values = Array.from({ length: 200_000 }, (_, i) => BigInt(i));
  const message = create(SelectMergeStacktracesResponseSchema, {
    flamegraph: { names, levels: [{ values }] },
  });
  const bytes = toBinary(SelectMergeStacktracesResponseSchema, message);
  const buffers = new Set<ArrayBufferLike>();
  let slices = 0;
  for await (const slice of jsonSlices(SelectMergeStacktracesResponseSchema, { bytes })) {
    expect(slice.byteLength).toBeLessThan(320_000);
    buffers.add(slice.buffer);
    slices++;
  }
  expect(slices).toBeGreaterThan(10);
  expect(buffers.size).toBe(4);
});

test('an answer on disk is closed at its end, and when nobody wants the rest', async () => {
  const bytes = oddProfile();
  for (const most of [1, Infinity]) {
    let closed = 0;
    const answer = onDisk(bytes, 100);
    const front = { ...answer.front, close: () => void closed++ };
    let slices = 0;
    for await (const _ of jsonSlices(ProfileSchema, { ...answer, front }, { sliceBytes: 20 })) {
      if (++slices === most) break;
    }
    expect(closed).toBe(1);
  }
});

test('messages that JSON writes in a form of their own are left to the library', () => {
  for (const desc of [...ANSWERS, EVERY]) expect(canSliceJson(desc)).toBe(true);
  expect(canSliceJson(FileDescriptorSetSchema)).toBe(false);
});
