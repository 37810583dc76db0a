import { utf8 } from '../base/bytes.ts';

/**
 * The shard, in `[0, shardCount)`, that owns a service of a tenant. It is part of the names of
 * blobs and roots, hence of the format: for one `shardCount` it may never change (golden values in
 * test/ingest/route.test.ts).
 *
 * FNV-1a (32 bits) over the UTF-8 of the tenant, a byte 0xff, and the UTF-8 of the service; then the
 * finalizer of MurmurHash3, because FNV's low bits alone spread short names badly; then modulo.
 * 0xff occurs in no UTF-8, so no two pairs give the same bytes.
 *
 * Source: http://www.isthe.com/chongo/tech/comp/fnv/, fmix32 of smhasher's MurmurHash3.cpp.
 */
export function shardOf(tenant: string, service: string, shardCount: number): number {
  let hash = fnv1a(0x811c9dc5, utf8(tenant));
  hash = Math.imul(hash ^ 0xff, FNV_PRIME);
  hash = fnv1a(hash, utf8(service));
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  hash ^= hash >>> 16;
  return (hash >>> 0) % shardCount;
}

const FNV_PRIME = 0x01000193;

function fnv1a(seed: number, bytes: Uint8Array): number {
  let hash = seed;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, FNV_PRIME);
  return hash;
}
