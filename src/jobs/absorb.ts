import type { Random } from '../base/random.ts';
import { randomName } from '../base/random.ts';
import type { Pause } from '../base/slice.ts';
import { encodeBlock } from '../storage/block/encode.ts';
import { lengthsAtLeast } from '../storage/dictionary/lengths.ts';
import type { TableLengths } from '../storage/dictionary/lengths.ts';
import { ScopeMap } from '../storage/dictionary/scope-map.ts';
import { blockKey } from '../storage/keys.ts';
import { addAbsorbed, isAbsorbed } from '../storage/root/absorbed.ts';
import type { Absorbed } from '../storage/root/absorbed.ts';
import type { PartitionRoot, RootBlock } from '../storage/root/encode.ts';
import { CanonicalDictionaries } from '../storage/shard/canonical.ts';
import type { Canonical } from '../storage/shard/canonical.ts';
import type { HeadSection, SectionScope } from '../storage/shard/head.ts';
import { commitPartition, readPartition } from '../storage/shard/partition.ts';
import { readUndamaged } from '../storage/shard/read-undamaged.ts';
import type { ShardState } from '../storage/shard/shard-state.ts';
import { packSections } from './pack.ts';
import { groupsBySize, putRows, rowBytes } from './new-rows.ts';
import type { NewRows } from './new-rows.ts';
import { sectionsOfHour, serviceKey, tableOf } from './minute-table.ts';
import type { ServiceTables } from './minute-table.ts';

/** What absorb is governed by. */
export interface AbsorbOptions {
  readonly pause: Pause;
  readonly nowMs: number;
  /** Small unrolled blocks of an hour from which on they are merged into the new one. */
  readonly unrolledBlocksPerHourMax: number;
  /** Bytes of a segment after which another is begun. */
  readonly segmentBytes: number;
}

/** What one absorb did. */
export interface AbsorbReport {
  readonly sections: number;
  readonly blocks: number;
  /** Sections of a partition that retention has dropped: ignored, and counted. */
  readonly ignored: number;
}

/** Blocks of this size are not merged again before the roll: each byte is rewritten a few times only. */
const SMALL_BLOCK_BYTES = 4 * 1024 * 1024;

/** How often a commit that lost a race is tried again before the next run takes it up. */
const ATTEMPTS = 3;

/**
 * Moves the head sections of a partition into minute columns, and the rows of their dictionaries into
 * the canonical one, by one swap of the root.
 *
 * Where all sections of a service come from the live writer scope, whose rows continue the canonical
 * ones, the rows are taken over as they are. Otherwise (after a restart, a failed put, a new raw
 * volume) they are mapped by content; then the writer stands still, so that no later section
 * of an epoch that was mapped can land, and the next push opens a scope seeded from the result.
 */
export async function absorbPartition(
  state: ShardState,
  dayMs: number,
  options: AbsorbOptions,
): Promise<AbsorbReport> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const done = (await isAllLive(state, dayMs))
      ? await absorbOnce(state, dayMs, options, false)
      : await state.standStill(() => absorbOnce(state, dayMs, options, true));
    if (done !== null) return done;
  }
  return { sections: 0, blocks: 0, ignored: 0 };
}

/** Whether every section can be taken over as it is; the answer holds until the next await. */
async function isAllLive(state: ShardState, dayMs: number): Promise<boolean> {
  const { root } = await readPartition(state.store, state.partition(dayMs));
  for (const [, sections] of byService(state.head.list(dayMs))) {
    const first = sections[0] as HeadSection;
    const canonical = await state.canonical.load(dayMs, first.tenant, first.service, root);
    if (!isLive(state, canonical, sections)) return false;
  }
  return true;
}

function isLive(
  state: ShardState,
  canonical: Canonical,
  sections: readonly HeadSection[],
): boolean {
  const first = sections[0] as HeadSection;
  const key = CanonicalDictionaries.key(first.dayMs, first.tenant, first.service);
  const scope: SectionScope | undefined = state.scopes.get(key);
  return (
    scope !== undefined &&
    scope.dictionary === canonical.dictionary &&
    sections.every((section) => section.scope === scope)
  );
}

/**
 * One attempt; null if it has to start over: the root was swapped by somebody else, or rows need to be
 * mapped and the writer does not stand still.
 */
async function absorbOnce(
  state: ShardState,
  dayMs: number,
  options: AbsorbOptions,
  standsStill: boolean,
): Promise<AbsorbReport | null> {
  // The list before the root, and what has landed at that same instant: a sequence that is not
  // durable yet must never count as absorbed.
  const listed = state.head.list(dayMs);
  const { landed } = state;
  if (listed.length === 0) return { sections: 0, blocks: 0, ignored: 0 };
  const partition = await readPartition(state.store, state.partition(dayMs));
  const { root } = partition;
  if (root.dropped) {
    state.head.remove(dayMs, listed);
    return { sections: 0, blocks: 0, ignored: listed.length };
  }
  const waiting = listed.filter(({ incarnation, seq }) => !isAbsorbed(root, incarnation, seq));
  const services: ServicePlan[] = [];
  const tables: ServiceTables = new Map();
  for (const [, sections] of byService(waiting)) {
    const plan = await planService(state, root, sections, options);
    if (plan === null || (!plan.live && !standsStill)) return null;
    services.push(plan);
    const table = tableOf(tables, plan.tenant, plan.service);
    for (const section of sections) {
      table.addSection(section, plan.maps.get(section.scope));
      await options.pause.here();
    }
  }
  const blocks = await putBlocks(state, dayMs, root, tables, options);
  const segments = await putRows(state, dayMs, services, options.segmentBytes);
  const settle = announce(state, dayMs, services, segments.at(-1)?.id);
  try {
    const committed = await commitPartition(
      state.store,
      state.random,
      state.partition(dayMs),
      partition,
      {
        absorbed: mergeAbsorbed(root.absorbed, landed),
        blocks: [...root.blocks.filter(({ id }) => !blocks.replaced.has(id)), ...blocks.added],
        segments: [...root.segments, ...segments],
        trash: [
          ...root.trash,
          ...[...blocks.replaced].map((id) => ({ id, sinceMs: options.nowMs })),
        ],
      },
    );
    if (committed === null) return null;
    for (const plan of services) takeOver(state, dayMs, plan);
  } finally {
    // Not before what is in memory follows the root: in between nobody would know whose rows these are.
    settle();
  }
  state.head.remove(dayMs, listed);
  return { sections: waiting.length, blocks: blocks.added.length, ignored: 0 };
}

/** How the rows of a service become canonical; `dictionary` has all canonical rows after the commit. */
interface ServicePlan extends NewRows {
  /** Rows are taken over as they are. */
  readonly live: boolean;
  readonly canonical: Canonical;
  readonly to: TableLengths;
  /** Translation of each scope; a live one needs none. */
  readonly maps: ReadonlyMap<SectionScope, ScopeMap>;
}

/** Null where the root is not the present one any more. */
async function planService(
  state: ShardState,
  root: PartitionRoot,
  sections: readonly HeadSection[],
  options: AbsorbOptions,
): Promise<ServicePlan | null> {
  const { tenant, service, dayMs } = sections[0] as HeadSection;
  const canonical = await state.canonical.load(dayMs, tenant, service, root);
  const from = canonical.lengths;
  const cuts: TableLengths[] = [];
  const groups = groupsBySize(sections, rowBytes, options.segmentBytes);
  if (isLive(state, canonical, sections)) {
    const { to } = sections.at(-1) as HeadSection;
    // Somebody else made these rows canonical since the root was read.
    if (!lengthsAtLeast(to, from)) return null;
    for (const group of groups) cuts.push((group.at(-1) as HeadSection).to);
    const { dictionary } = canonical;
    return { tenant, service, live: true, canonical, dictionary, from, cuts, to, maps: new Map() };
  }
  const dictionary = canonical.dictionary.copy(from);
  const maps = new Map<SectionScope, ScopeMap>();
  for (const group of groups) {
    for (const { scope, to } of lastOfScopes(group)) {
      let map = maps.get(scope);
      if (map === undefined) maps.set(scope, (map = new ScopeMap(scope.base)));
      const { mapped } = map;
      if (!lengthsAtLeast(mapped, to)) {
        dictionary.mapSlice(scope.dictionary.encodeSlice(mapped, to), mapped, to, map);
      }
      await options.pause.here();
    }
    cuts.push(dictionary.lengths);
  }
  const to = dictionary.lengths;
  return { tenant, service, live: false, canonical, dictionary, from, cuts, to, maps };
}

/** The last section of each scope, in the order in which the scopes appear. */
function lastOfScopes(sections: readonly HeadSection[]): HeadSection[] {
  const last = new Map<SectionScope, HeadSection>();
  for (const section of sections) last.set(section.scope, section);
  return [...last.values()];
}

/**
 * Before the commit, whose outcome may stay unknown: rows that it takes over as they are count as soon
 * as a root names them, and an epoch whose rows it maps ends, so that no later section of it can land.
 * The returned function is called after the commit was taken over, or failed.
 */
function announce(
  state: ShardState,
  dayMs: number,
  services: readonly ServicePlan[],
  segment: string | undefined,
): () => void {
  for (const { live, tenant, service, canonical, to } of services) {
    if (!live) state.scopes.delete(CanonicalDictionaries.key(dayMs, tenant, service));
    else if (segment !== undefined) canonical.pending.set(segment, to);
  }
  return () => {
    if (segment === undefined) return;
    for (const { canonical } of services) canonical.pending.delete(segment);
  };
}

/** After the commit: what is in memory follows the root. */
function takeOver(state: ShardState, dayMs: number, plan: ServicePlan): void {
  const { tenant, service, dictionary, to, live } = plan;
  const key = CanonicalDictionaries.key(dayMs, tenant, service);
  const scope = state.scopes.get(key);
  if (live) {
    if (!lengthsAtLeast(plan.canonical.lengths, to)) plan.canonical.lengths = to;
    if (scope !== undefined && scope.dictionary === dictionary) scope.base = to;
    return;
  }
  state.canonical.set(dayMs, tenant, service, dictionary, to);
  // Its rows are not the canonical ones: the next push opens another.
  state.scopes.delete(key);
}

interface PutBlocks {
  readonly added: readonly RootBlock[];
  /** Unrolled blocks whose columns are in the added ones. */
  readonly replaced: ReadonlySet<string>;
}

/** One unrolled block (or more, by size) for each hour touched. */
async function putBlocks(
  state: ShardState,
  dayMs: number,
  root: PartitionRoot,
  tables: ServiceTables,
  options: AbsorbOptions,
): Promise<PutBlocks> {
  const added: RootBlock[] = [];
  const replaced = new Set<string>();
  const hours = new Set<number>();
  for (const { table } of tables.values()) for (const hour of table.hours()) hours.add(hour);
  for (const hour of [...hours].toSorted((a, b) => a - b)) {
    const standing = root.blocks.filter(
      (block) =>
        !block.rolled &&
        block.hours.includes(hour) &&
        block.bytes < SMALL_BLOCK_BYTES &&
        !state.damagedBlocks.has(block.id),
    );
    if (standing.length >= options.unrolledBlocksPerHourMax) {
      for (const block of standing) {
        const stored = await readUndamaged(state, dayMs, block);
        if (stored === undefined) continue;
        for (const { entry, view } of stored) {
          tableOf(tables, entry.tenant, entry.service).addBlock(view);
        }
        replaced.add(block.id);
      }
    }
    const sections = await sectionsOfHour(tables, hour, options.pause);
    for (const packed of packSections(sections)) {
      added.push(await putBlock(state, dayMs, [hour], packed, false));
    }
  }
  return { added, replaced };
}

/** Puts a block under a fresh name. */
export async function putBlock(
  state: { readonly store: ShardState['store']; readonly random: Random; readonly shard: number },
  dayMs: number,
  hours: readonly number[],
  sections: Parameters<typeof encodeBlock>[0]['sections'],
  rolled: boolean,
): Promise<RootBlock> {
  const bytes = encodeBlock({ dayMs, shard: state.shard, hours, sections });
  const id = randomName(state.random);
  await state.store.put(blockKey(dayMs, state.shard, id), bytes);
  return { id, bytes: bytes.byteLength, hours, rolled };
}

/** Everything that had landed when the head was listed: with a section here or without. */
function mergeAbsorbed(absorbed: Absorbed, landed: Absorbed): Absorbed {
  let merged = absorbed;
  for (const [incarnation, intervals] of landed) {
    merged = addAbsorbed(merged, incarnation, intervals);
  }
  return merged;
}

function byService(sections: readonly HeadSection[]): Map<string, HeadSection[]> {
  const services = new Map<string, HeadSection[]>();
  for (const section of sections) {
    const key = serviceKey(section.tenant, section.service);
    const list = services.get(key);
    if (list === undefined) services.set(key, [section]);
    else list.push(section);
  }
  return services;
}
