import { assert } from '../../base/assert.ts';
import { LIMITS } from '../../base/limits.ts';

// No part begins with a dot, so that a key can never climb out of the directory of its volume.
const KEY = /^[A-Za-z0-9_-][A-Za-z0-9_.-]*(?:\/[A-Za-z0-9_-][A-Za-z0-9_.-]*){2,}$/;
const VOLUME = /^[A-Za-z0-9_-][A-Za-z0-9_.-]*\/[A-Za-z0-9_-][A-Za-z0-9_.-]*$/;
const PREFIX = /^[A-Za-z0-9_./-]*$/;
// What stores call a volume that is being built or removed.
const RESERVED = /\/(?:new|trash)-/;

/** Asserts that `key` names a blob, marker or root: three or more parts, at most LIMITS.keyBytesMax. */
export function assertKey(key: string): void {
  assert(key.length <= LIMITS.keyBytesMax, `key of ${key.length} bytes: ${key.slice(0, 64)}`);
  assert(KEY.test(key) && !isReserved(key), `not a key: ${key}`);
}

/** Whether `key` can name a blob, marker or root: damage makes others of them. */
export function isKey(key: string): boolean {
  return key.length <= LIMITS.keyBytesMax && KEY.test(key) && !isReserved(key);
}

/** Asserts that `prefix` can begin a key; may be empty. */
export function assertPrefix(prefix: string): void {
  assert(PREFIX.test(prefix) && prefix.length <= LIMITS.keyBytesMax, `not a prefix: ${prefix}`);
}

/** Asserts that `volume` is `<kind>/<period>`. */
export function assertVolume(volume: string): void {
  assert(isVolume(volume), `not a volume: ${volume}`);
}

/** Whether `name` is `<kind>/<period>` and not one that stores keep for themselves. */
export function isVolume(name: string): boolean {
  return VOLUME.test(name) && !isReserved(name);
}

/** Whether keys of `volume` can begin with `prefix`. */
export function volumeMatches(volume: string, prefix: string): boolean {
  const start = `${volume}/`;
  return prefix.startsWith(start) || start.startsWith(prefix);
}

/**
 * The order of volumes in which their keys are in byte order. Not the order of their names: `-` and
 * `.` sort before the `/` that follows a shorter name.
 */
export function compareVolumes(a: string, b: string): number {
  return compareKeys(`${a}/`, `${b}/`);
}

/** Byte order of keys, which are ASCII. */
export function compareKeys(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

function isReserved(name: string): boolean {
  return RESERVED.test(name.split('/', 2).join('/'));
}
