import { LAYOUTS } from './layout.ts';

/** How a value of JSON becomes a field. */
export type JsonKind =
  | 'int32'
  | 'int64'
  | 'uint64'
  | 'fixed64'
  | 'bool'
  | 'double'
  | 'string'
  | 'bytes'
  /** Hexadecimal, as OTLP/JSON has the ids of traces and spans. */
  | 'hex'
  /** 32 hexadecimal digits, else base64. */
  | 'id';

/** A field of a message. */
export interface JsonField {
  readonly no: number;
  readonly kind: JsonKind | (() => JsonShape);
  readonly repeated: boolean;
}

/** A message: its fields by name, both `lowerCamelCase` and as in the .proto. */
export interface JsonShape {
  readonly fields: ReadonlyMap<string, JsonField>;
  /** Members that only older layouts have, and which; unlike unknown ones they are not ignored. */
  readonly old: ReadonlyMap<string, number>;
}

type Rows = Readonly<Record<string, readonly [no: number, kind: JsonField['kind'], list?: 'list']>>;

function shape(rows: Rows, old: Readonly<Record<string, number>> = {}): JsonShape {
  const fields = new Map<string, JsonField>();
  for (const [name, [no, kind, list]] of Object.entries(rows)) {
    const field = { no, kind, repeated: list === 'list' };
    fields.set(name, field);
    fields.set(snakeCase(name), field);
  }
  const oldNames = Object.entries(old).flatMap(([name, layouts]) => [
    [name, layouts] as const,
    [snakeCase(name), layouts] as const,
  ]);
  return { fields, old: new Map(oldNames) };
}

function snakeCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

const TABLES = [
  'mappingTable',
  'locationTable',
  'functionTable',
  'linkTable',
  'stringTable',
  'attributeTable',
  'attributeUnits',
];

function tables(layouts: number): Record<string, number> {
  return Object.fromEntries(TABLES.map((name) => [name, layouts]));
}

const ANY_VALUE: JsonShape = shape({
  stringValue: [1, 'string'],
  boolValue: [2, 'bool'],
  intValue: [3, 'int64'],
  doubleValue: [4, 'double'],
  arrayValue: [5, () => ARRAY],
  kvlistValue: [6, () => KEY_VALUES],
  bytesValue: [7, 'bytes'],
  stringValueStrindex: [8, 'int32'],
});

const ARRAY: JsonShape = shape({ values: [1, () => ANY_VALUE, 'list'] });

const KEY_VALUES: JsonShape = shape({ values: [1, () => KEY_VALUE, 'list'] });

const KEY_VALUE: JsonShape = shape({
  key: [1, 'string'],
  value: [2, () => ANY_VALUE],
  keyStrindex: [3, 'int32'],
});

const VALUE_TYPE = shape(
  { typeStrindex: [1, 'int32'], unitStrindex: [2, 'int32'] },
  { aggregationTemporality: LAYOUTS.upTo18 },
);

const SAMPLE = shape(
  {
    stackIndex: [1, 'int32'],
    attributeIndices: [2, 'int32', 'list'],
    linkIndex: [3, 'int32'],
    values: [4, 'int64', 'list'],
    timestampsUnixNano: [5, 'fixed64', 'list'],
  },
  {
    locationsStartIndex: LAYOUTS.upTo17,
    locationsLength: LAYOUTS.upTo17,
    value: LAYOUTS.upTo17,
  },
);

const PROFILE = shape(
  {
    sampleType: [1, () => VALUE_TYPE],
    samples: [2, () => SAMPLE, 'list'],
    timeUnixNano: [3, 'fixed64'],
    durationNano: [4, 'uint64'],
    periodType: [5, () => VALUE_TYPE],
    period: [6, 'int64'],
    profileId: [7, 'id'],
    attributeIndices: [11, 'int32', 'list'],
  },
  {
    sample: LAYOUTS.upTo18,
    commentStrindices: LAYOUTS.upTo18,
    locationIndices: LAYOUTS.upTo17,
    defaultSampleTypeIndex: LAYOUTS.upTo17,
    timeNanos: LAYOUTS.upTo17,
    durationNanos: LAYOUTS.upTo17,
    ...tables(LAYOUTS.upTo15),
  },
);

const LINE = shape({ functionIndex: [1, 'int32'], line: [2, 'int64'], column: [3, 'int64'] });

const LOCATION = shape(
  {
    mappingIndex: [1, 'int32'],
    address: [2, 'uint64'],
    lines: [3, () => LINE, 'list'],
    attributeIndices: [4, 'int32', 'list'],
  },
  { line: LAYOUTS.upTo18, isFolded: LAYOUTS.upTo17 },
);

const MAPPING = shape({
  memoryStart: [1, 'uint64'],
  memoryLimit: [2, 'uint64'],
  fileOffset: [3, 'uint64'],
  filenameStrindex: [4, 'int32'],
  attributeIndices: [5, 'int32', 'list'],
});

const FUNCTION = shape({
  nameStrindex: [1, 'int32'],
  systemNameStrindex: [2, 'int32'],
  filenameStrindex: [3, 'int32'],
  startLine: [4, 'int64'],
});

const LINK = shape({ traceId: [1, 'hex'], spanId: [2, 'hex'] });

const ATTRIBUTE = shape({
  keyStrindex: [1, 'int32'],
  value: [2, () => ANY_VALUE],
  unitStrindex: [3, 'int32'],
});

const STACK = shape({ locationIndices: [1, 'int32', 'list'] });

const DICTIONARY = shape({
  mappingTable: [1, () => MAPPING, 'list'],
  locationTable: [2, () => LOCATION, 'list'],
  functionTable: [3, () => FUNCTION, 'list'],
  linkTable: [4, () => LINK, 'list'],
  stringTable: [5, 'string', 'list'],
  attributeTable: [6, () => ATTRIBUTE, 'list'],
  stackTable: [7, () => STACK, 'list'],
});

const RESOURCE = shape({ attributes: [1, () => KEY_VALUE, 'list'] });

const SCOPE = shape({ attributes: [3, () => KEY_VALUE, 'list'] });

const SCOPE_PROFILES = shape({
  scope: [1, () => SCOPE],
  profiles: [2, () => PROFILE, 'list'],
});

const RESOURCE_PROFILES = shape({
  resource: [1, () => RESOURCE],
  scopeProfiles: [2, () => SCOPE_PROFILES, 'list'],
});

/** `ExportProfilesServiceRequest`, without what is not read: it is left out as unknown members are. */
export const REQUEST_SHAPE = shape(
  { resourceProfiles: [1, () => RESOURCE_PROFILES, 'list'], dictionary: [2, () => DICTIONARY] },
  tables(LAYOUTS.upTo16),
);
