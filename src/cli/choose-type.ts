import type { Client } from '@connectrpc/connect';
import type { QuerierService } from '../gen/querier/v1/querier_pb.ts';
import { CliError, note, type CliIo } from './io.ts';

/** What people most likely mean, best first. */
const PREFERRED = [
  /^process_cpu:cpu:/,
  /:cpu:nanoseconds:/,
  /^wall:wall:/,
  /:inuse_space:/,
  /:alloc_space:/,
];

/**
 * The profile type to ask for: the one given, else the likeliest of those that match, which is told
 * together with the others. Throws when nothing matches.
 */
export async function chooseType(
  client: Client<typeof QuerierService>,
  given: string | undefined,
  selector: string,
  range: { readonly start: bigint; readonly end: bigint },
  io: CliIo,
): Promise<string> {
  if (given !== undefined) return given;
  const { names: types } = await client.labelValues({
    name: '__profile_type__',
    matchers: [selector],
    ...range,
  });
  const best = PREFERRED.map((pattern) => types.find((type) => pattern.test(type))).find(
    (type) => type !== undefined,
  );
  const type = best ?? types[0];
  if (type === undefined) {
    const { names: services } = await client.labelValues({ name: 'service_name', ...range });
    const there =
      services.length === 0
        ? 'nothing was stored in that range: push one with `tephra push FILE`, or widen --from'
        : `services in that range: ${services.slice(0, 20).join(', ')}`;
    throw new CliError(`no profiles match ${selector}\n  ${there}`);
  }
  const others = types.filter((other) => other !== type);
  note(io, `type ${type}`);
  if (others.length > 0) note(io, `  --type takes also ${others.join(', ')}`);
  return type;
}
