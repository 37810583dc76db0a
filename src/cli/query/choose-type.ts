import type { Remote } from '../connection.ts';
import { CliError, EXIT, note, type CliIo } from '../io.ts';
import { printable } from '../printable.ts';
import type { Range } from './range.ts';

/** What people most likely mean, best first. */
const PREFERRED = [
  /^process_cpu:cpu:/,
  /:cpu:nanoseconds:/,
  /^wall:wall:/,
  /:wall:nanoseconds:/,
  /:inuse_space:/,
  /:alloc_space:/,
];

/** Whether `given` is all five parts of a profile type. */
function isFullType(given: string): boolean {
  return given.split(':').length === 5;
}

/**
 * The likeliest of `types` (five-part ids): `given` may be an id, `type:unit` or a type. Undefined
 * where none fits.
 */
export function likeliestType(
  types: readonly string[],
  given: string | undefined,
): string | undefined {
  const fitting = given === undefined ? types : types.filter((type) => fits(type, given));
  for (const pattern of PREFERRED) {
    const best = fitting.find((type) => pattern.test(type));
    if (best !== undefined) return best;
  }
  return fitting[0];
}

function fits(id: string, given: string): boolean {
  if (id === given) return true;
  const [name, type, unit] = id.split(':');
  const parts = given.split(':');
  // Files know no name of a type: what a server calls process_cpu is `cpu` there.
  const [wantedType, wantedUnit] = parts.length === 5 ? parts.slice(1, 3) : parts;
  if (parts.length === 5 && name !== '' && parts[0] !== '' && name !== parts[0]) return false;
  return type === wantedType && (wantedUnit === undefined || unit === wantedUnit);
}

/**
 * The profile type to ask a server for: the one given, else the likeliest of those that match, which
 * is told together with the others. Throws when nothing matches.
 */
export async function chooseType(
  remote: Remote,
  given: string | undefined,
  selector: string,
  range: Range,
  io: CliIo,
): Promise<string> {
  if (given !== undefined && isFullType(given) && !given.startsWith(':')) return given;
  const valuesOf = async (label: string, matching: string): Promise<readonly string[]> => {
    const asked = { selectors: [matching], ...range };
    return (await remote.ask((client) => client.querier.labelValues(label, asked))).names;
  };
  const types = await valuesOf('__profile_type__', selector);
  const type = likeliestType(types, given);
  if (type === undefined && types.length > 0) {
    throw new CliError(
      `--type: none is ${JSON.stringify(given)}; there are ${types.join(', ')}`,
      EXIT.usage,
    );
  }
  if (type === undefined) {
    const services = await valuesOf('service_name', '{}');
    const there =
      services.length === 0
        ? 'nothing was stored in that range: push one with `tephra push FILE`, or widen --from'
        : `services in that range: ${services.slice(0, 20).map(printable).join(', ')}`;
    throw new CliError(`no profiles match ${selector}\n  ${there}`);
  }
  if (given === undefined) {
    const others = types.filter((other) => other !== type);
    note(io, `type ${type}`);
    if (others.length > 0) note(io, `  --type takes also ${others.join(', ')}`);
  }
  return type;
}
