import { create, fromBinary, toBinary, toJson, type DescMessage } from '@bufbuild/protobuf';
import {
  FeatureSetSchema,
  FieldDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from '@bufbuild/protobuf/wkt';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ProfileSchema } from '../../../src/gen/google/v1/profile_pb.ts';
import {
  FlameGraphSchema,
  SelectMergeStacktracesResponseSchema,
} from '../../../src/gen/querier/v1/querier_pb.ts';
import { ExactnessSchema, MeanSchema } from '../../../src/gen/tephra/v1/exactness_pb.ts';
import {
  MergeResponseSchema,
  MergeStreamResponseSchema,
} from '../../../src/gen/tephra/v1/query_pb.ts';
import { canSliceJson, jsonSlices } from '../../../src/server/answer/json-slices.ts';

const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });

function ours(desc: DescMessage, bytes: Uint8Array): unknown {
  return JSON.parse(Buffer.concat([...jsonSlices(desc, bytes)]).toString());
}

test('a flame graph reads as the library writes it, whatever its names and values', () => {
  const graph = fc.record({
    names: fc.array(fc.string({ unit: 'grapheme' })),
    levels: fc.array(fc.record({ values: fc.array(int64, { minLength: 1 }) })),
    total: int64,
    maxSelf: int64,
  });
  fc.assert(
    fc.property(graph, fc.string(), fc.uint8Array(), (flamegraph, dot, tree) => {
      const message = create(SelectMergeStacktracesResponseSchema, { flamegraph, dot, tree });
      const bytes = toBinary(SelectMergeStacktracesResponseSchema, message);
      const theirs = toJson(SelectMergeStacktracesResponseSchema, message);
      expect(ours(SelectMergeStacktracesResponseSchema, bytes)).toEqual(theirs);
    }),
  );
});

test('scalars of all kinds, fields with presence and messages in two parts read alike', () => {
  const profile = create(ProfileSchema, {
    sampleType: [{ type: 1n, unit: -1n }],
    sample: [{ locationId: [1n, 2n ** 64n - 1n], value: [-5n], label: [{ key: 1n, num: 2n }] }, {}],
    mapping: [{ id: 1n, hasFunctions: true }],
    stringTable: ['', 'a"\\\u2028'],
    dropFrames: 0n,
  });
  const profileBytes = toBinary(ProfileSchema, profile);
  expect(ours(ProfileSchema, profileBytes)).toEqual(toJson(ProfileSchema, profile));

  const merge = [
    create(MergeResponseSchema, {
      flamegraph: create(FlameGraphSchema, { names: ['a'], total: 3n }),
    }),
    create(MergeResponseSchema, {
      flamegraph: create(FlameGraphSchema, { names: ['b'] }),
      exactness: create(ExactnessSchema, { exact: true }),
      mean: create(MeanSchema, { value: 0.5 }),
    }),
  ];
  const mergeBytes = Buffer.concat(merge.map((part) => toBinary(MergeResponseSchema, part)));
  const whole = fromBinary(MergeResponseSchema, mergeBytes);
  expect(ours(MergeResponseSchema, mergeBytes)).toEqual(toJson(MergeResponseSchema, whole));

  const field = create(FieldDescriptorProtoSchema, {
    name: '',
    number: -3,
    label: 3,
    type: 99 as never,
    proto3Optional: false,
  });
  // Not sliced by the server, for their names alone; written by the same rules.
  const fieldBytes = toBinary(FieldDescriptorProtoSchema, field);
  expect(ours(FieldDescriptorProtoSchema, fieldBytes)).toEqual(
    toJson(FieldDescriptorProtoSchema, field),
  );
  expect(ours(FeatureSetSchema, new Uint8Array(0))).toEqual({});
});

test('a large message comes in slices that are made one by one', () => {
  const names = Array.from({ length: 50_000 }, (_, i) => `function ${i}`);
  const values = Array.from({ length: 50_000 }, (_, i) => BigInt(i));
  const message = create(SelectMergeStacktracesResponseSchema, {
    flamegraph: { names, levels: [{ values }] },
  });
  const bytes = toBinary(SelectMergeStacktracesResponseSchema, message);
  const slices = [...jsonSlices(SelectMergeStacktracesResponseSchema, bytes)];
  expect(slices.length).toBeGreaterThan(10);
  expect(Math.max(...slices.map(({ byteLength }) => byteLength))).toBeLessThan(80_000);
  expect(JSON.parse(Buffer.concat(slices).toString())).toEqual(
    toJson(SelectMergeStacktracesResponseSchema, message),
  );
});

test('messages that JSON writes in a form of their own are left to the library', () => {
  for (const desc of [ProfileSchema, MergeResponseSchema, MergeStreamResponseSchema]) {
    expect(canSliceJson(desc)).toBe(true);
  }
  expect(canSliceJson(FileDescriptorSetSchema)).toBe(false);
});
