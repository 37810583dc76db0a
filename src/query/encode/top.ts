import { type Steps, sweep } from '../../base/steps.ts';
import { topFunctions } from '../top.ts';
import { TWO_32 } from '../tree/lanes.ts';
import type { NameTree } from '../tree/name-tree.ts';
import { type Overflow, ProtoWriter } from './proto-writer.ts';
import type { EncodedTree } from './pruned.ts';

/** Fields of `tephra.v1.TopFunctionsResponse` and of `TopFunction` in it. */
const FUNCTIONS = 1;
const FUNCTION_COUNT = 2;
const REST_SELF = 3;
const NAME = 1;
const SELF = 2;
const TOTAL = 3;

/**
 * Writes a `tephra.v1.TopFunctionsResponse` without its exactness record: the `limit` functions with the
 * largest own value, and the own value of all others together.
 */
export function* encodeTop(tree: NameTree, limit: number, overflow?: Overflow): Steps<EncodedTree> {
  const functions = yield* topFunctions(tree);
  const writer = new ProtoWriter(undefined, overflow);
  for (const { name, self, total } of functions.slice(0, limit)) {
    yield;
    const message = writer.begin(FUNCTIONS);
    if (name !== '') writer.text(NAME, name);
    writeBig(writer, SELF, self);
    writeBig(writer, TOTAL, total);
    writer.end(message);
  }
  let foldedValue = 0n;
  yield* sweep(limit, functions.length, (from, to) => {
    for (let i = from; i < to; i++) foldedValue += functions[i]?.self ?? 0n;
  });
  writer.field(FUNCTION_COUNT, functions.length);
  writeBig(writer, REST_SELF, foldedValue);
  return { ...writer.finish(), foldedValue };
}

function writeBig(writer: ProtoWriter, field: number, value: bigint): void {
  writer.wideField(field, Number(value >> 32n), Number(value % BigInt(TWO_32)));
}
