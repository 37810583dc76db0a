import { ScalarType, type DescField, type DescMessage } from '@bufbuild/protobuf';
import { FeatureSet_FieldPresence } from '@bufbuild/protobuf/wkt';
import { FIXED_32, FIXED_64, VARINT } from '../../base/wire-types.ts';

/** What JSON needs to know of a message. */
export interface MessagePlan {
  /** By number, as the library writes them. */
  readonly fields: readonly FieldPlan[];
}

/** What JSON needs to know of a field. */
export interface FieldPlan {
  readonly number: number;
  /** Its name and the colon. */
  readonly key: Uint8Array;
  readonly isList: boolean;
  /** Whether a default is left out. */
  readonly isImplicit: boolean;
  /** Of a list whose values may come without tags: how one lies there. */
  readonly packedWire: number | undefined;
  /** Numbers of all members of its oneof. */
  readonly oneof: readonly number[] | undefined;
  readonly message: MessagePlan | undefined;
  readonly scalar: ScalarType | undefined;
  readonly enumNames: ReadonlyMap<number, string> | undefined;
}

const plans = new WeakMap<DescMessage, MessagePlan>();

/** The plan of a message without maps and groups. */
export function planOf(desc: DescMessage): MessagePlan {
  const known = plans.get(desc);
  if (known !== undefined) return known;
  const fields: FieldPlan[] = [];
  const plan = { fields };
  // Before its fields: messages may lie in themselves.
  plans.set(desc, plan);
  for (const field of desc.fields.toSorted((a, b) => a.number - b.number)) {
    fields.push(fieldPlan(field));
  }
  return plan;
}

function fieldPlan(field: DescField): FieldPlan {
  const { scalar, message } = field;
  const isList = field.fieldKind === 'list';
  const isPackable =
    message === undefined && scalar !== ScalarType.STRING && scalar !== ScalarType.BYTES;
  return {
    number: field.number,
    key: Buffer.from(`${JSON.stringify(field.jsonName)}:`),
    isList,
    isImplicit: field.presence === FeatureSet_FieldPresence.IMPLICIT,
    packedWire: isList && isPackable ? wireOf(scalar) : undefined,
    oneof: field.oneof?.fields.map(({ number }) => number),
    message: message === undefined ? undefined : planOf(message),
    scalar,
    enumNames:
      field.enum === undefined
        ? undefined
        : new Map(field.enum.values.map(({ number, name }) => [number, name])),
  };
}

/** How one value of a packed list lies in it. */
function wireOf(scalar: ScalarType | undefined): number {
  switch (scalar) {
    case ScalarType.DOUBLE:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return FIXED_64;
    case ScalarType.FLOAT:
    case ScalarType.FIXED32:
    case ScalarType.SFIXED32:
      return FIXED_32;
    default:
      return VARINT;
  }
}
