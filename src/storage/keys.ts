/**
 * Every key of the store is made and read here.
 *
 *     raw/<6 h of arrival>/f/<arrival hour>/<shard>/<incarnation>/<seq>   fragment
 *     raw/<6 h of arrival>/u/<event hour>/<push key>                      marker of a push
 *     minutes/<day>/b/<shard>/<id>                                        block
 *     minutes/<day>/s/<shard>/<id>                                        dictionary segment
 *     minutes/<day>/o/<shard>/<id>                                        its outline
 *     minutes/<day>/r/<shard count>/<shard>                               root
 *
 * Numbers are padded with zeros, so that byte order is number order; ids are lower-case hex.
 */
import { assert } from '../base/assert.ts';
import {
  DAY_MS,
  dayName,
  floorTo,
  HOUR_MS,
  hourName,
  parsePeriodName,
  RAW_VOLUME_MS,
} from '../base/time.ts';

/** Where a fragment lies in the raw tier. */
export interface FragmentAddress {
  /** Start of the hour in which it arrived, Unix ms. */
  readonly arrivalHourMs: number;
  readonly shard: number;
  readonly incarnation: number;
  /** Dense from 1 per (incarnation, shard). */
  readonly seq: number;
}

/** A partition's root: one UTC day of minutes of one shard. */
export interface RootAddress {
  /** Start of the day, Unix ms. */
  readonly dayMs: number;
  readonly shardCount: number;
  readonly shard: number;
}

/** A block or segment of a partition. */
export interface BlobAddress {
  /** Start of the day, Unix ms. */
  readonly dayMs: number;
  readonly shard: number;
  /** Lower-case hex. */
  readonly id: string;
}

/** The raw volume that takes what arrives at `arrivalMs`: `raw/YYYYMMDD-HH`, HH = 00, 06, 12, 18. */
export function rawVolume(arrivalMs: number): string {
  return `raw/${hourName(floorTo(arrivalMs, RAW_VOLUME_MS))}`;
}

/** Start of the 6 h of a raw volume, Unix ms; undefined if the name is none. */
export function parseRawVolume(volume: string): number | undefined {
  return parseVolume('raw', volume, RAW_VOLUME_MS);
}

/** The minutes volume of the day that holds `dayMs`: `minutes/YYYYMMDD`. */
export function minutesVolume(dayMs: number): string {
  return `minutes/${dayName(dayMs)}`;
}

/** Start of the day of a minutes volume, Unix ms; undefined if the name is none. */
export function parseMinutesVolume(volume: string): number | undefined {
  return parseVolume('minutes', volume, DAY_MS);
}

/** Key of a fragment. */
export function fragmentKey(address: FragmentAddress): string {
  return `${fragmentPrefix(address)}${digits(address.seq, 10)}`;
}

/**
 * Prefix of the fragments of an arrival hour, narrowed to a shard and an incarnation where given
 * (an incarnation without a shard means nothing and is ignored).
 */
export function fragmentPrefix(of: {
  readonly arrivalHourMs: number;
  readonly shard?: number;
  readonly incarnation?: number;
}): string {
  let prefix = `${fragmentsOf(rawVolume(of.arrivalHourMs))}${hourName(of.arrivalHourMs)}/`;
  if (of.shard === undefined) return prefix;
  prefix += `${digits(of.shard, 2)}/`;
  return of.incarnation === undefined ? prefix : `${prefix}${digits(of.incarnation, 10)}/`;
}

/** Prefix of all fragments of a raw volume. */
function fragmentsOf(volume: string): string {
  return `${volume}/f/`;
}

const FRAGMENT_KEY = /^raw\/(\d{8}-\d{2})\/f\/(\d{8}-\d{2})\/(\d{2})\/(\d{10})\/(\d{10})$/;

/** The address in a fragment's key; undefined if the key is no fragment's. */
export function parseFragmentKey(key: string): FragmentAddress | undefined {
  const match = FRAGMENT_KEY.exec(key);
  if (match === null) return undefined;
  const [, , hour = '', shard, incarnation, seq] = match;
  const address = {
    arrivalHourMs: parsePeriodName(hour),
    shard: Number(shard),
    incarnation: Number(incarnation),
    seq: Number(seq),
  };
  return Number.isFinite(address.arrivalHourMs) && fragmentKey(address) === key
    ? address
    : undefined;
}

/** Key of the marker of a push in a raw volume; `pushKey` is 32 hex digits. */
export function markerKey(volume: string, eventHourMs: number, pushKey: string): string {
  return `${volume}/u/${hourName(eventHourMs)}/${pushKey}`;
}

/** Key of a block. */
export function blockKey(dayMs: number, shard: number, id: string): string {
  return `${blockPrefix(dayMs, shard)}${id}`;
}

/** Prefix of the blocks of a partition. */
export function blockPrefix(dayMs: number, shard: number): string {
  return `${minutesVolume(dayMs)}/b/${digits(shard, 2)}/`;
}

/** The address in a block's key; undefined if the key is no block's. */
export function parseBlockKey(key: string): BlobAddress | undefined {
  return parseBlobKey('b', key);
}

/** Key of a dictionary segment. */
export function segmentKey(dayMs: number, shard: number, id: string): string {
  return `${segmentPrefix(dayMs, shard)}${id}`;
}

/** Prefix of the segments of a partition. */
export function segmentPrefix(dayMs: number, shard: number): string {
  return `${minutesVolume(dayMs)}/s/${digits(shard, 2)}/`;
}

/** The address in a segment's key; undefined if the key is no segment's. */
export function parseSegmentKey(key: string): BlobAddress | undefined {
  return parseBlobKey('s', key);
}

/** Key of the outline of a segment. */
export function outlineKey(dayMs: number, shard: number, id: string): string {
  return `${outlinePrefix(dayMs, shard)}${id}`;
}

/** Prefix of the outlines of a partition. */
export function outlinePrefix(dayMs: number, shard: number): string {
  return `${minutesVolume(dayMs)}/o/${digits(shard, 2)}/`;
}

/** The address in an outline's key; undefined if the key is no outline's. */
export function parseOutlineKey(key: string): BlobAddress | undefined {
  return parseBlobKey('o', key);
}

/** Name of a partition's root. */
export function rootName(dayMs: number, shardCount: number, shard: number): string {
  return `${rootPrefix(dayMs)}${digits(shardCount, 2)}/${digits(shard, 2)}`;
}

/** Prefix of the roots of a day. */
function rootPrefix(dayMs: number): string {
  return `${minutesVolume(dayMs)}/r/`;
}

/** The address in a root's name; undefined if the name is no root's. */
export function parseRootName(name: string): RootAddress | undefined {
  const match = /^(minutes\/\d{8})\/r\/(\d{2})\/(\d{2})$/.exec(name);
  if (match === null) return undefined;
  const [, volume = '', shardCount, shard] = match;
  const dayMs = parseMinutesVolume(volume);
  if (dayMs === undefined) return undefined;
  const address = { dayMs, shardCount: Number(shardCount), shard: Number(shard) };
  return address.shard < address.shardCount ? address : undefined;
}

function parseBlobKey(kind: 'b' | 'o' | 's', key: string): BlobAddress | undefined {
  const match = /^(minutes\/\d{8})\/([bos])\/(\d{2})\/([0-9a-f]+)$/.exec(key);
  if (match === null || match[2] !== kind) return undefined;
  const [, volume = '', , shard, id = ''] = match;
  const dayMs = parseMinutesVolume(volume);
  return dayMs === undefined ? undefined : { dayMs, shard: Number(shard), id };
}

/** Start of the period in `<kind>/<period>`, if it is written the way the builders write it. */
function parseVolume(kind: string, volume: string, periodMs: number): number | undefined {
  if (!volume.startsWith(`${kind}/`)) return undefined;
  const name = volume.slice(kind.length + 1);
  const startMs = parsePeriodName(name);
  if (Number.isNaN(startMs) || startMs % periodMs !== 0) return undefined;
  return (periodMs < DAY_MS ? hourName(startMs) : dayName(startMs)) === name ? startMs : undefined;
}

function digits(value: number, width: number): string {
  const text = String(value);
  assert(Number.isSafeInteger(value) && value >= 0, `a number in a key is ${value}`);
  assert(text.length <= width, `${value} has more than ${width} digits`);
  return text.padStart(width, '0');
}

// Hours divide raw volumes: the hour of a fragment tells its volume.
assert(RAW_VOLUME_MS % HOUR_MS === 0, 'a raw volume is whole hours');
