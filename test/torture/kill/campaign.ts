import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { createClient, type Client } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-node';
import { PusherService } from '../../../src/gen/push/v1/push_pb.ts';
import { QuerierService } from '../../../src/gen/querier/v1/querier_pb.ts';
import { Dice } from '../../model/dice.ts';
import { replayOf, seedsOf, type Campaign } from '../campaign.ts';
import { complaintsOf, markerPush, newBook, type Book } from '../disk/workload.ts';

const PROGRAM = join(import.meta.dirname, 'server.mjs');
const BUILT = join(import.meta.dirname, '../../../dist/app.js');
const START_MS = 30_000;
const CLIENTS = 4;
const HOUR_MS = 3_600_000;
const TYPE = 'wall:wall:count:wall:count';

/** Steps at which a server ends itself; the first is none, then it is killed from outside. */
const STEPS = [
  '',
  ...['put', 'absorb', 'root swap', 'head mark', 'recovery'].flatMap((step) => [
    `${step}: before`,
    `${step}: during`,
    `${step}: after`,
  ]),
  ...['trash', 'volume open', 'volume close', 'lock'].flatMap((step) => [
    `${step}: before`,
    `${step}: after`,
  ]),
] as const;

/** P1 and P2: a real server, killed under several clients that send again what was not acknowledged. */
export const kill: Campaign = {
  name: 'kill',
  what: 'kill -9 at random times and at named steps, under concurrent pushes',
  short: { from: 1, to: 1 },
  long: { from: 1, to: 100 },
  slice: 6,
  async run({ seeds, long, tell }) {
    const figures: Record<string, number> = { kills: 0, acknowledged: 0, resends: 0 };
    const failures: string[] = [];
    if (!existsSync(BUILT)) return { figures, failures, skipped: 'no dist/: npm run build' };
    for (const seed of seedsOf(seeds)) {
      const life = new Directory(seed);
      try {
        await life.run(long ? 10 : 3);
      } catch (error) {
        failures.push(`${replayOf('kill', seed)}\n${String(error)}`);
      } finally {
        await life.end();
      }
      for (const [name, count] of Object.entries(life.figures)) {
        figures[name] = (figures[name] ?? 0) + count;
      }
      if (long) tell(`  ${seed}: ${figures['kills']} kills, ${failures.length} broken`);
      if (failures.length > 10) break;
    }
    return { figures, failures };
  },
};

interface Server {
  readonly child: ChildProcess;
  readonly exit: Promise<string>;
  readonly pusher: Client<typeof PusherService>;
  readonly querier: Client<typeof QuerierService>;
}

/** One data directory through many lives of its server. */
class Directory {
  readonly figures: Record<string, number> = { kills: 0, acknowledged: 0, resends: 0 };
  readonly #path: string;
  readonly #folder = mkdtempSync(join(tmpdir(), 'tephra-kill-'));
  readonly #dice: Dice;
  readonly #book: Book = newBook();
  readonly #items = new Map<number, ReturnType<typeof markerPush>>();
  readonly #seed: number;
  #server: Server | undefined;
  #next = 0;

  constructor(seed: number) {
    this.#seed = seed;
    this.#dice = new Dice(seed);
    this.#path = join(this.#folder, 'data');
  }

  async run(kills: number): Promise<void> {
    const workers = String(this.#dice.whole(1, 3));
    for (let i = 0; i < kills; i++) {
      const step = STEPS[(this.#seed * kills + i) % STEPS.length] ?? '';
      await this.#life(workers, step);
    }
    const server = await this.#start(workers, '');
    if (server === undefined) throw new Error('the server does not start after the last kill');
    await this.#check(server);
    // What was not acknowledged is sent again: stored now, or known.
    for (const id of this.#book.sent) {
      if (!this.#book.acknowledged.has(id)) await this.#push(server, id);
    }
    if (this.#book.acknowledged.size !== this.#book.sent.size) {
      throw new Error('a push cannot be acknowledged');
    }
    await this.#check(server);
    this.figures['acknowledged'] = this.#book.acknowledged.size;
  }

  async end(): Promise<void> {
    this.#server?.child.kill('SIGKILL');
    await this.#server?.exit;
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Starts, checks, pushes from several clients until the kill. */
  async #life(workers: string, step: string): Promise<void> {
    const server = await this.#start(workers, step);
    if (server === undefined) return this.#killed(step);
    const life = { over: false };
    const gone = server.exit.then(() => (life.over = true));
    const untilOver = async (work: () => Promise<void>): Promise<void> => {
      // The process ends in between: then the answers that are out fail, and that is all.
      while (!life.over) await work().catch((error: unknown) => this.#unlessGone(error));
    };
    let asked = false;
    const clients = Array.from({ length: CLIENTS }, () =>
      untilOver(async () => {
        const unsure = [...this.#book.sent].filter((id) => !this.#book.acknowledged.has(id));
        const again = unsure.length > CLIENTS && this.#dice.chance(20);
        if (again) this.figures['resends'] = (this.figures['resends'] ?? 0) + 1;
        await this.#push(server, again ? this.#dice.pick(unsure) : this.#next++);
        if (asked || !this.#dice.chance(10)) return;
        asked = true;
        await this.#check(server);
      }),
    );
    const waitMs = step === '' ? this.#dice.whole(30, 900) : 2_000;
    const timer = setTimeout(() => server.child.kill('SIGKILL'), waitMs);
    await gone;
    clearTimeout(timer);
    await Promise.all(clients);
    this.#killed(step);
  }

  #killed(step: string): void {
    this.figures['kills'] = (this.figures['kills'] ?? 0) + 1;
    const name = step === '' ? 'at random' : (step.split(':')[0] ?? '');
    this.figures[name] = (this.figures[name] ?? 0) + 1;
    this.#server = undefined;
  }

  #unlessGone(error: unknown): void {
    if (error instanceof Broken) throw error;
  }

  /** Undefined where it was killed before it was ready. */
  async #start(workers: string, step: string): Promise<Server | undefined> {
    const times = String(this.#dice.whole(1, step.startsWith('recovery') ? 20 : 4));
    const args = [PROGRAM, this.#path, workers, ...(step === '' ? [] : [step, times])];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const said: string[] = [];
    child.stderr.on('data', (chunk: Buffer) => said.push(chunk.toString()));
    const exit = once(child, 'exit').then(([code, signal]) => String(signal ?? code));
    const address = await new Promise<string | undefined>((resolve) => {
      const timer = setTimeout(() => child.kill('SIGKILL'), START_MS);
      createInterface({ input: child.stdout }).on('line', (line) => {
        if (line.startsWith('ready ')) {
          clearTimeout(timer);
          resolve(line.slice('ready '.length));
        } else said.push(line);
      });
      void exit.then(() => {
        clearTimeout(timer);
        resolve(undefined);
      });
    });
    if (address === undefined) {
      const how = await exit;
      if (how === 'SIGKILL' && step !== '') return undefined;
      throw new Broken(`the server ended with ${how}:\n${said.join('\n').slice(-1_500)}`);
    }
    const transport = createConnectTransport({
      baseUrl: `http://${address}`,
      httpVersion: '1.1',
      useBinaryFormat: true,
    });
    const server: Server = {
      child,
      exit,
      pusher: createClient(PusherService, transport),
      querier: createClient(QuerierService, transport),
    };
    this.#server = server;
    return server;
  }

  async #push(server: Server, id: number): Promise<void> {
    let item = this.#items.get(id);
    if (item === undefined) {
      const lateMs = this.#dice.chance(50) ? 0 : this.#dice.whole(0, 5) * HOUR_MS;
      item = markerPush(id, Date.now() - lateMs, 0);
      this.#items.set(id, item);
    }
    this.#book.sent.add(id);
    await server.pusher.push({
      series: [
        {
          labels: item.labels.map(([name, value]) => ({ name, value })),
          samples: [{ ID: item.profileId, rawProfile: Uint8Array.from(item.payload) }],
        },
      ],
    });
    this.#book.acknowledged.add(id);
  }

  async #check(server: Server): Promise<void> {
    const must = new Set(this.#book.acknowledged);
    const { flamegraph } = await server.querier.selectMergeStacktraces({
      profileTypeID: TYPE,
      labelSelector: '{}',
      start: BigInt(Date.now() - 12 * HOUR_MS),
      end: BigInt(Date.now() + HOUR_MS),
      maxNodes: 100_000n,
    });
    const values = new Map<string, bigint>();
    for (const { values: bars } of flamegraph?.levels ?? []) {
      for (let at = 0; at + 3 < bars.length; at += 4) {
        const name = flamegraph?.names[Number(bars[at + 3])] ?? '';
        const self = bars[at + 2] ?? 0n;
        if (self !== 0n) values.set(name, (values.get(name) ?? 0n) + self);
      }
    }
    const complaints = complaintsOf(values, this.#book, must);
    if (complaints.length > 0) throw new Broken(complaints.slice(0, 5).join('\n'));
  }
}

/** A promise that broke, not a connection. */
class Broken extends Error {}
