import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { create, toBinary } from '@bufbuild/protobuf';
import { ProfileSchema } from '../../../src/gen/google/v1/profile_pb.ts';
import { PprofReader } from '../../../src/profile/pprof/read.ts';
import { plainOfBytes, plainOfColumns, withoutSynthetic } from './plain.ts';
import { WireBuilder } from '../../support/wire-builder.ts';

const reader = new PprofReader();
const int64 = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.bigInt({ min: 0n, max: 300n }),
  fc.bigInt({ min: 0n, max: 2n ** 33n }),
);
const line = fc.oneof(fc.nat(300), fc.nat(2 ** 31 - 1)).map(BigInt);
const id = fc.oneof(fc.bigInt({ min: 1n, max: 40n }), fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }));
const ids = (maxLength: number): fc.Arbitrary<bigint[]> =>
  fc.oneof(
    fc.uniqueArray(id, { minLength: 1, maxLength }),
    fc.nat(maxLength - 1).map((n) => Array.from({ length: n + 1 }, (_, i) => BigInt(i + 1))),
    fc.nat(maxLength - 1).map((n) => Array.from({ length: n + 1 }, (_, i) => BigInt(i + 100))),
  );

/** A valid profile as plain numbers. */
const profile = fc
  .record({
    texts: fc.array(fc.string({ unit: 'grapheme', maxLength: 200 }), {
      minLength: 1,
      maxLength: 300,
    }),
    mappingIds: ids(4),
    functionIds: ids(20),
    locationIds: ids(20),
    types: fc.integer({ min: 1, max: 5 }),
  })
  .chain(({ texts, mappingIds, functionIds, locationIds, types }) => {
    const strings = ['', ...texts];
    const text = fc.nat(strings.length - 1).map(BigInt);
    const oneOf = (from: readonly bigint[]): fc.Arbitrary<bigint> => fc.constantFrom(...from);
    const rows = <T>(
      of: readonly bigint[],
      row: (id: bigint) => fc.Arbitrary<T>,
    ): fc.Arbitrary<T[]> => fc.tuple<T[]>(...of.map(row));
    const valueType = fc.record({ type: text, unit: text });
    return fc.record({
      stringTable: fc.constant(strings),
      sampleType: fc.array(valueType, { minLength: types, maxLength: types }),
      mapping: rows(mappingIds, (own) =>
        fc.record({
          id: fc.constant(own),
          memoryStart: int64.map((v) => BigInt.asUintN(64, v)),
          memoryLimit: int64.map((v) => BigInt.asUintN(64, v)),
          filename: text,
          buildId: text,
          hasFunctions: fc.boolean(),
        }),
      ),
      function: rows(functionIds, (own) =>
        fc.record({
          id: fc.constant(own),
          name: text,
          systemName: text,
          filename: text,
          startLine: line,
        }),
      ),
      location: rows(locationIds, (own) =>
        fc.record({
          id: fc.constant(own),
          mappingId: oneOf([0n, ...mappingIds]),
          address: int64.map((v) => BigInt.asUintN(64, v)),
          line: fc.array(fc.record({ functionId: oneOf(functionIds), line, column: line }), {
            maxLength: 3,
          }),
          isFolded: fc.boolean(),
        }),
      ),
      sample: fc.array(
        fc.record({
          locationId: fc.array(oneOf(locationIds), { maxLength: 40 }),
          value: fc.array(int64, { minLength: types, maxLength: types }),
          label: fc.array(
            fc.oneof(
              fc.record({ key: text.map((k) => k || 1n), str: text }),
              fc.record({ key: text.map((k) => k || 1n), num: int64, numUnit: text }),
            ),
            { maxLength: 4 },
          ),
        }),
        { maxLength: 20 },
      ),
      timeNanos: int64,
      durationNanos: fc.bigInt({ min: 0n, max: 86_400_000_000_000n }),
      periodType: valueType,
      period: int64,
      comment: fc.array(text, { maxLength: 3 }),
      defaultSampleType: text,
    });
  });
type Model = typeof profile extends fc.Arbitrary<infer T> ? T : never;

function expectEqual(bytes: Uint8Array): void {
  const theirs = plainOfBytes(bytes);
  expect(withoutSynthetic(plainOfColumns(reader.read(bytes)), theirs)).toEqual(theirs);
}

/**
 * The model written with its fields in the order that `choose` makes: it returns a number below its
 * argument. Tables keep the order of their rows.
 */
function shuffled(model: Model, choose: (below: number) => number): Uint8Array {
  type Write = (b: WireBuilder) => void;
  /** Takes from the front of random queues: each queue stays in order. */
  const mix = (b: WireBuilder, queues: Write[][]): void => {
    const left = queues.filter((queue) => queue.length > 0);
    while (left.length > 0) {
      const at = choose(left.length);
      left[at]?.shift()?.(b);
      if (left[at]?.length === 0) left.splice(at, 1);
    }
  };
  const int = (field: number, value: bigint | boolean): Write[] => {
    const last: Write = (b) => b.int(field, BigInt(value), choose(8) === 0 ? 1 : 0);
    // A singular field twice: the last one counts.
    return choose(8) === 0 ? [(b) => b.int(field, 0), last] : [last];
  };
  const numbers = (field: number, values: readonly bigint[]): Write[] => {
    if (choose(3) === 0) return values.map((value) => (b) => b.int(field, value));
    const cut = choose(values.length + 1);
    return [
      (b) => b.packed(field, values.slice(0, cut)),
      (b) => b.packed(field, values.slice(cut)),
    ];
  };
  const message =
    (field: number, queues: Write[][]): Write =>
    (b) =>
      b.message(
        field,
        (inner) =>
          mix(inner, choose(8) === 0 ? [...queues, [(u): unknown => u.int(77, 1)]] : queues),
        choose(8) === 0 ? 1 : 0,
      );
  const types = (field: number, type: { type: bigint; unit: bigint }): Write =>
    message(field, [int(1, type.type), int(2, type.unit)]);
  const b = new WireBuilder();
  mix(b, [
    model.sampleType.map((type) => types(1, type)),
    model.sample.map((s) =>
      message(2, [
        numbers(1, s.locationId),
        numbers(2, s.value),
        s.label.map((l) =>
          message(3, [
            int(1, l.key),
            'str' in l ? int(2, l.str) : int(3, l.num),
            'numUnit' in l ? int(4, l.numUnit) : [],
          ]),
        ),
      ]),
    ),
    model.mapping.map((m) =>
      message(3, [
        int(1, m.id),
        int(2, m.memoryStart),
        int(5, m.filename),
        int(6, m.buildId),
        int(7, m.hasFunctions),
      ]),
    ),
    model.location.map((l) =>
      message(4, [
        int(1, l.id),
        int(2, l.mappingId),
        int(3, l.address),
        l.line.map((n) => message(4, [int(1, n.functionId), int(2, n.line), int(3, n.column)])),
        int(5, l.isFolded),
      ]),
    ),
    model.function.map((f) =>
      message(5, [
        int(1, f.id),
        int(2, f.name),
        int(3, f.systemName),
        int(4, f.filename),
        int(5, f.startLine),
      ]),
    ),
    model.stringTable.map(
      (text): Write =>
        (inner) =>
          inner.text(6, text),
    ),
    int(9, model.timeNanos),
    int(10, model.durationNanos),
    [types(11, model.periodType)],
    int(12, model.period),
    numbers(13, model.comment),
    int(14, model.defaultSampleType),
  ]);
  return b.finish();
}

describe('any profile', () => {
  test('written by a generated encoder is read value by value', () => {
    fc.assert(
      fc.property(profile, (model) => {
        expectEqual(toBinary(ProfileSchema, create(ProfileSchema, model)));
      }),
      { numRuns: 150 },
    );
  });

  test('written in any order and form is read value by value', () => {
    fc.assert(
      fc.property(profile, fc.infiniteStream(fc.nat()), (model, stream) => {
        expectEqual(shuffled(model, (below) => (stream.next().value as number) % below));
      }),
      { numRuns: 150 },
    );
  });
});
