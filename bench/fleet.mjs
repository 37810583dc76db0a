/**
 * The load "fleet-100": services with pods, each pod one Go-shaped CPU profile a minute. By default
 * 10 services x 10 pods; a service has 4,000 possible stacks at a time (mean depth 28, about 2,300
 * functions and 8,650 locations), a profile draws 1,500 ticks from them by Zipf (exponent 1.05): about
 * 537 stacks. Two values a sample (samples/count, cpu/nanoseconds), period 10 ms. A release every 6 h
 * replaces a tenth of the stacks, hot ones and cold ones alike, and the label `version`.
 *
 * Everything follows from the seed: the same (service, pod, minute) is always the same bytes.
 *
 *     node bench/fleet.mjs [--quick]        # prints what the load looks like
 *
 * @typedef {{ seed?: number, services?: number, pods?: number, startMs?: number,
 *   stacks?: number, draws?: number, releaseMs?: number }} FleetOptions
 * @typedef {{ service: number, pod: number, minute: number, labels: [string, string][],
 *   startMs: number, stacks: number, ticks: number, payload: Uint8Array }} FleetProfile
 */
import { gzipSync } from 'node:zlib';
import { pathToFileURL } from 'node:url';
import { HOUR_MS, MINUTE_MS } from '../dist/base/time.js';
import { ProtoWriter } from './proto-writer.mjs';
import { seededUnit } from './random.mjs';

const EXPONENT = 1.05;
/** Nanoseconds between two ticks. */
export const PERIOD_NANOS = 10_000_000;
const FUNCTIONS = 2_300;
const LOCATIONS = 8_650;
const DEPTH = 28;
const RELEASE_MS = 6 * HOUR_MS;
/** Of a service's stacks a release replaces one in this many. */
const RELEASE_SHARE = 10;
/** Fixed, so that a run does not depend on its day; 06:00, so that the first release lasts 6 h. */
const START_MS = Date.UTC(2031, 2, 14, 6);

/** The fleet; see FleetOptions for what can be made smaller. */
export class Fleet {
  /** @param {FleetOptions} [options] */
  constructor(options = {}) {
    const { seed = 1, services = 10, pods = 10, startMs = START_MS } = options;
    const { stacks = 4_000, draws = 1_500, releaseMs = RELEASE_MS } = options;
    this.startMs = startMs;
    this.releaseMs = releaseMs;
    this.services = services;
    this.pods = pods;
    this.draws = draws;
    this.seed = seed;
    this.cumulative = zipf(stacks);
    this.universes = Array.from({ length: services }, (_, service) => {
      return new Universe(seed * 1_009 + service, stacks, serviceName(service));
    });
  }

  /** Nanoseconds of CPU in one profile: every profile has the same number of ticks. */
  get nanosPerProfile() {
    return BigInt(this.draws) * BigInt(PERIOD_NANOS);
  }

  /**
   * What a pod sampled in a minute: ticks by stack, a stack as locations from the leaf to the root.
   *
   * @returns {{ labels: [string, string][], startMs: number, stacks: number[][], ticks: number[] }}
   */
  samples(service, pod, minute) {
    // A pod's agent flushes at its own second of the minute.
    const offsetMs = (pod * 5_917 + service * 331) % MINUTE_MS;
    const startMs = this.startMs + minute * MINUTE_MS + offsetMs;
    const release = Math.floor((startMs - this.startMs) / this.releaseMs);
    const random = seededUnit(hashOf(this.seed, service, pod, minute));
    const ticks = drawTicks(this.cumulative, this.draws, random);
    const universe = this.universes[service];
    return {
      labels: labelsOf(service, pod, release),
      startMs,
      stacks: [...ticks.keys()].map((slot) => universe.stackOf(slot, release)),
      ticks: [...ticks.values()],
    };
  }

  /**
   * The profile of a pod that begins in a minute; gzip-6 unless `packed` is false.
   *
   * @returns {FleetProfile}
   */
  profile(service, pod, minute, { packed = true } = {}) {
    const { labels, startMs, stacks, ticks } = this.samples(service, pod, minute);
    const plain = this.universes[service].encode(stacks, ticks, startMs);
    return {
      service,
      pod,
      minute,
      labels,
      startMs,
      stacks: stacks.length,
      ticks: this.draws,
      payload: packed ? new Uint8Array(gzipSync(plain, { level: 6 })) : plain,
    };
  }

  /** A location of a service: what the profiler knows of it. */
  location(service, location) {
    const universe = this.universes[service];
    const { name, path } = universe.functions[universe.functionOf[location]];
    return { name, path, line: universe.lineOf[location] };
  }

  /** The profiles of all pods in a minute, by service and pod. */
  *minute(minute, options) {
    for (let service = 0; service < this.services; service++) {
      for (let pod = 0; pod < this.pods; pod++) yield this.profile(service, pod, minute, options);
    }
  }
}

/** A profile as the engine takes it. */
export function pushItem(profile) {
  return {
    tenant: 'anonymous',
    labels: profile.labels,
    profileId: '',
    format: 'pprof',
    surface: 'push',
    payload: profile.payload,
    arrivalMs: profile.startMs + 1_000,
  };
}

function serviceName(service) {
  return `fleet-${service}`;
}

function labelsOf(service, pod, release) {
  return [
    ['__name__', 'process_cpu'],
    ['service_name', serviceName(service)],
    ['namespace', 'fleet'],
    ['pod', `${serviceName(service)}-${(hashOf(7, service, pod, 0) >>> 0).toString(36)}`],
    ['version', `1.${release}.0`],
  ];
}

/** All stacks that a service may have: trees that share their beginnings, as code does. */
class Universe {
  constructor(seed, stacks, service) {
    const random = seededUnit(seed);
    this.random = random;
    this.functionOf = Uint32Array.from({ length: LOCATIONS }, (_, location) => {
      return location < FUNCTIONS ? location : below(random, FUNCTIONS);
    });
    this.lineOf = Uint32Array.from({ length: LOCATIONS }, () => 10 + below(random, 900));
    this.functions = Array.from({ length: FUNCTIONS }, (_, i) => functionOf(random, service, i));
    /** Leaf first, as pprof has them. */
    this.stacks = [];
    while (this.stacks.length < stacks) this.stacks.push(this.#grow());
    /** Slots that each release replaced, with their new stacks. */
    this.releases = [new Map()];
  }

  /** The stack in a slot once `release` is out. */
  stackOf(slot, release) {
    while (this.releases.length <= release) this.#release();
    for (let r = release; r > 0; r--) {
      const stack = this.releases[r].get(slot);
      if (stack !== undefined) return stack;
    }
    return this.stacks[slot];
  }

  #release() {
    const random = this.random;
    const replaced = new Map();
    // One of each ten neighbours in rank: as many of the hot as of the cold.
    for (let slot = 0; slot < this.stacks.length; slot += RELEASE_SHARE) {
      replaced.set(slot + below(random, RELEASE_SHARE), this.#grow());
    }
    this.releases.push(replaced);
  }

  /** A new stack that leaves an older one some frames before its leaf. */
  #grow() {
    const random = this.random;
    const depth = Math.max(4, Math.round(DEPTH + 8 * (random() + random() + random() - 1.5)));
    const tail = 3 + below(random, 9);
    const older = this.stacks.length === 0 ? [] : this.stacks[below(random, this.stacks.length)];
    const kept = Math.min(older.length, Math.max(0, depth - tail));
    const stack = older.slice(older.length - kept);
    while (stack.length < depth) stack.unshift(below(random, LOCATIONS));
    return stack;
  }

  /** A pprof as Go's runtime/pprof writes it: locations and functions stand before their first use. */
  encode(stacks, ticks, startMs) {
    const w = new ProtoWriter(64 + stacks.length * 512);
    const strings = ['', 'samples', 'count', 'cpu', 'nanoseconds'];
    const stringIds = new Map();
    const stringId = (text) => {
      let id = stringIds.get(text);
      if (id === undefined) stringIds.set(text, (id = strings.push(text) - 1));
      return id;
    };
    const functionIds = new Map();
    const locationIds = new Map();
    const file = stringId('/usr/local/bin/server');
    const buildId = stringId('b1946ac92492d2347c6235b4d2611184b1946ac9');
    w.uint(9, BigInt(startMs) * 1_000_000n);
    w.message(1, (m) => m.uint(1, 1).uint(2, 2));
    w.message(1, (m) => m.uint(1, 3).uint(2, 4));
    w.uint(10, 60_000_000_000n);
    w.message(11, (m) => m.uint(1, 3).uint(2, 4));
    w.uint(12, PERIOD_NANOS);
    for (let i = 0; i < stacks.length; i++) {
      const ids = stacks[i].map((location) => {
        const known = locationIds.get(location);
        if (known !== undefined) return known;
        const id = locationIds.size + 1;
        locationIds.set(location, id);
        this.#writeLocation(w, location, id, functionIds, stringId);
        return id;
      });
      w.message(2, (m) => m.packed(1, ids).packed(2, [ticks[i], ticks[i] * PERIOD_NANOS]));
    }
    w.message(3, (m) => {
      m.uint(1, 1).uint(2, 0x400000).uint(3, 0x1400000).uint(5, file).uint(6, buildId).uint(7, 1);
    });
    for (const text of strings) w.text(6, text);
    return w.finish();
  }

  #writeLocation(w, location, id, functionIds, stringId) {
    const fn = this.functionOf[location];
    let functionId = functionIds.get(fn);
    const isNew = functionId === undefined;
    if (isNew) functionIds.set(fn, (functionId = functionIds.size + 1));
    w.message(4, (m) => {
      m.uint(1, id)
        .uint(2, 1)
        .uint(3, 0x401000 + location * 97)
        .message(4, (line) => line.uint(1, functionId).uint(2, this.lineOf[location]));
    });
    if (!isNew) return;
    const { name, path } = this.functions[fn];
    const nameId = stringId(name);
    const pathId = stringId(path);
    w.message(5, (m) => m.uint(1, functionId).uint(2, nameId).uint(3, nameId).uint(4, pathId));
  }
}

const WORDS =
  'order cart user price stock auth token cache index query batch stream ledger route quota'.split(
    ' ',
  );
const VERBS = 'Handle Encode Decode Lookup Refresh Apply Merge Validate Flush Resolve'.split(' ');

function functionOf(random, service, i) {
  const word = WORDS[below(random, WORDS.length)];
  const other = WORDS[below(random, WORDS.length)];
  const verb = VERBS[below(random, VERBS.length)];
  const folder = `${service}/${word}`;
  const type = `${other[0].toUpperCase()}${other.slice(1)}Store`;
  // A source file holds some functions: fewer paths than names.
  return {
    name: `${folder}.(*${type}).${verb}${i}`,
    path: `/src/${folder}/${other}.go`,
  };
}

function zipf(count) {
  const cumulative = new Float64Array(count);
  let sum = 0;
  for (let rank = 0; rank < count; rank++) cumulative[rank] = sum += (rank + 1) ** -EXPONENT;
  return cumulative;
}

/** Ticks by slot, in the order in which the profiler saw them. */
function drawTicks(cumulative, draws, random) {
  const ticks = new Map();
  const sum = cumulative.at(-1);
  for (let draw = 0; draw < draws; draw++) {
    const at = random() * sum;
    let low = 0;
    let high = cumulative.length - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (cumulative[middle] < at) low = middle + 1;
      else high = middle;
    }
    ticks.set(low, (ticks.get(low) ?? 0) + 1);
  }
  return ticks;
}

function below(random, bound) {
  return Math.floor(random() * bound);
}

function hashOf(...numbers) {
  let hash = 0x811c9dc5;
  for (const number of numbers) {
    hash = Math.imul(hash ^ number, 0x01000193);
    hash = Math.imul(hash ^ (hash >>> 15), 0x85ebca6b);
  }
  return hash ^ (hash >>> 13);
}

/** Prints the load's shape. */
function describe() {
  const quick = process.argv.includes('--quick');
  const fleet = new Fleet(quick ? { services: 2, pods: 2 } : {});
  const minutes = quick ? 1 : 5;
  const sums = { profiles: 0, stacks: 0, packed: 0, plain: 0 };
  for (let minute = 0; minute < minutes; minute++) {
    for (const { service, pod, stacks, payload } of fleet.minute(minute)) {
      sums.profiles++;
      sums.stacks += stacks;
      sums.packed += payload.byteLength;
      sums.plain += fleet.profile(service, pod, minute, { packed: false }).payload.byteLength;
    }
  }
  const { stacks } = fleet.universes[0];
  const frames = stacks.reduce((sum, stack) => sum + stack.length, 0);
  const nodes = new Set(stacks.flatMap((stack) => stack.map((_, from) => stack.slice(from).join())))
    .size;
  const each = (sum) => (sum / sums.profiles).toFixed(0);
  console.log(`profiles                  ${sums.profiles}`);
  console.log(`stacks a profile          ${each(sums.stacks)}`);
  console.log(`bytes a profile, gzip-6   ${each(sums.packed)}`);
  console.log(`bytes a profile, plain    ${each(sums.plain)}`);
  console.log(`mean depth                ${(frames / stacks.length).toFixed(1)}`);
  console.log(`nodes a stack             ${(nodes / stacks.length).toFixed(1)}`);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) describe();
