import { posix } from 'node:path';
import type { SourceFile } from './source-file.ts';
import { lineAt } from './source-file.ts';

/**
 * Which layer may import which. A layer is a folder of src/, or a file such as src/app.ts. Everything may
 * import itself.
 */
export const LAYERS: Readonly<Record<string, readonly string[]>> = {
  base: [],
  gen: [],
  page: [],
  config: ['base'],
  profile: ['base'],
  storage: ['profile', 'base'],
  ingest: ['storage', 'profile', 'base'],
  query: ['storage', 'profile', 'base'],
  jobs: ['storage', 'profile', 'base'],
  shards: ['ingest', 'query', 'jobs', 'storage', 'profile', 'base'],
  server: ['shards', 'gen', 'profile', 'base'],
  client: ['gen', 'base'],
  agent: ['client', 'base'],
  app: ['agent', 'server', 'shards', 'storage', 'config', 'base'],
  worker: ['agent', 'shards'],
  offline: ['storage', 'base'],
  cli: ['app', 'client', 'offline', 'page', 'config', 'gen', 'profile', 'base'],
};

/** Files that a layer may import beyond {@link LAYERS}, for their types alone. */
export const TYPES_ONLY: Readonly<Record<string, readonly string[]>> = {
  server: [
    'src/ingest/push.ts',
    'src/ingest/stream/messages.ts',
    'src/query/losses.ts',
    'src/query/request.ts',
    'src/config/schema.ts',
  ],
};

/** The layer of a file below src/, or undefined for a file elsewhere. */
export function layerOf(path: string): string | undefined {
  return /^src\/(?:(\w+)\/|(\w+)\.ts$)/.exec(path)?.slice(1).find(Boolean);
}

const IMPORT =
  /^(?:import|export)\s+(type\s)?(?:[^'";]*?\sfrom\s+)?'(\.[^']*)'|\bimport\(\s*'(\.[^']*)'\s*\)|new URL\(\s*'(\.[^']*)',\s*import\.meta\.url/gm;

/** Imports that the table does not allow. */
export function layerComplaints(file: SourceFile): string[] {
  const from = layerOf(file.path);
  if (from === undefined) return [];
  const allowed = LAYERS[from];
  if (allowed === undefined) return [`${file.path}: layer ${from} is not in the table`];
  const complaints: string[] = [];
  for (const match of file.text.matchAll(IMPORT)) {
    const specifier = match[2] ?? match[3] ?? match[4] ?? '';
    const target = posix.join(posix.dirname(file.path), specifier);
    const to = layerOf(target);
    const where = `${file.path}:${lineAt(file.text, match.index)}`;
    if (to === undefined) complaints.push(`${where}: ${specifier} leaves src/`);
    else if (to === from || allowed.includes(to)) continue;
    else if (match[1] !== undefined && (TYPES_ONLY[from] ?? []).includes(target)) continue;
    else complaints.push(`${where}: ${from} may not import ${to} (${specifier})`);
  }
  return complaints;
}
