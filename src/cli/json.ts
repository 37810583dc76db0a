/** What `--json` writes. Integers beyond 2^53 are written with all their digits. */
export type JsonValue =
  | string
  | number
  | bigint
  | boolean
  | null
  | readonly JsonValue[]
  | { readonly [name: string]: JsonValue | undefined };

/**
 * One JSON object, a member a line, and a line for each element of its lists: it reads well, and `grep`
 * finds things in it. Members that are undefined are left out. Pieces are small, so that an answer of a
 * million nodes is never one text.
 */
export function* jsonText(
  object: Readonly<Record<string, JsonValue | undefined>>,
): Generator<string> {
  let separator = '{\n';
  for (const [name, value] of Object.entries(object)) {
    if (value === undefined) continue;
    yield `${separator}  ${JSON.stringify(name)}: `;
    separator = ',\n';
    if (Array.isArray(value) && value.length > 0) {
      const list = value as readonly JsonValue[];
      for (const [index, element] of list.entries()) {
        yield `${index === 0 ? '[' : ','}\n    ${compact(element)}`;
      }
      yield '\n  ]';
    } else {
      yield compact(value);
    }
  }
  yield separator === ',\n' ? '\n}\n' : '{}\n';
}

function compact(value: JsonValue): string {
  if (typeof value === 'bigint') return String(value);
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${(value as readonly JsonValue[]).map(compact).join(', ')}]`;
  const members = Object.entries(value as Readonly<Record<string, JsonValue | undefined>>)
    .filter((member): member is [string, JsonValue] => member[1] !== undefined)
    .map(([name, member]) => `${JSON.stringify(name)}: ${compact(member)}`);
  return `{${members.join(', ')}}`;
}
