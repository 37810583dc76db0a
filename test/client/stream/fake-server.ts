/**
 * Another reading of docs/protocol/stream.md: a server that keeps sums in memory. It can be stopped and
 * started on its port, forget epochs, break calls, and keep its acks to itself.
 */
import { create, fromBinary, toBinary, type MessageInitShape } from '@bufbuild/protobuf';
import { Server, ServerCredentials, status, type ServerDuplexStream } from '@grpc/grpc-js';
import {
  StreamRequestSchema,
  StreamResponseSchema,
  type StreamBatch,
  type StreamOpen,
} from '../../../src/gen/tephra/v1/stream_pb.ts';

type Call = ServerDuplexStream<Buffer, Buffer>;

type Reply = Exclude<MessageInitShape<typeof StreamResponseSchema>['message'], undefined>;

interface Tables {
  readonly epoch: number;
  readonly strings: string[];
  readonly frames: string[];
  readonly stacks: string[];
  readonly series: string[];
}

const fresh = (epoch: number): Tables => ({
  epoch,
  strings: [''],
  frames: [''],
  stacks: [''],
  series: [''],
});

/** What it may be told to do with the next batch. */
export type Mood =
  | 'store'
  | 'break-before'
  | 'break-after'
  | 'forget-epoch'
  | 'late'
  | 'silent'
  | 'refuse';

export class FakeServer {
  /** By `type stack`, the sum of what was stored. */
  readonly sums = new Map<string, bigint>();
  /** Labels of samples and spans that came. */
  readonly seen = new Set<string>();
  readonly opens: StreamOpen[] = [];
  batches = 0;
  window = { batches: 16, bytes: 1_000_000n };
  rowsMax = 262_144;
  /** Asked before each batch. */
  mood: () => Mood = () => 'store';
  /** After this many settled batches. */
  settled = 0;
  port = 0;
  readonly #refused: number[] = [];
  #tables: Tables | undefined;
  #server: Server | undefined;
  readonly #ended = new WeakSet<Call>();

  async start(): Promise<this> {
    const server = new Server();
    const bytes = (value: Buffer): Buffer => value;
    server.register(
      '/tephra.v1.IngestService/Stream',
      (call: Call) => this.#serve(call),
      bytes,
      bytes,
      'bidi',
    );
    this.port = await new Promise((resolve, reject) => {
      server.bindAsync(
        `127.0.0.1:${this.port}`,
        ServerCredentials.createInsecure(),
        (error, port) => (error === null ? resolve(port) : reject(error)),
      );
    });
    this.#server = server;
    return this;
  }

  /** Ends everything; what was stored stays, tables do not. */
  stop(): void {
    this.#server?.forceShutdown();
    this.#tables = undefined;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  #serve(call: Call): void {
    let opened = false;
    call.on('data', (bytes: Buffer) => {
      if (this.#ended.has(call)) return;
      const { message } = fromBinary(StreamRequestSchema, bytes);
      if (message.case === 'open' && !opened) {
        opened = true;
        this.#open(call, message.value);
      } else if (message.case === 'batch' && opened) this.#take(call, message.value);
      else this.#fail(call, 'stream_order: no');
    });
    call.on('end', () => call.end());
    call.on('error', () => {});
  }

  #open(call: Call, open: StreamOpen): void {
    this.opens.push(open);
    this.settled = Math.max(this.settled, Number(open.firstSequence) - 1);
    if (Number(open.lastSequence) < this.settled) this.#fail(call, 'malformed_open: sent more');
    const tables = this.#tables?.epoch === open.epoch ? this.#tables : undefined;
    const count = (rows: readonly string[] = ['']): number => rows.length - 1;
    this.#reply(call, {
      case: 'welcome',
      value: {
        version: 1,
        settled: BigInt(this.settled),
        epoch: tables?.epoch ?? 0,
        rows: {
          strings: count(tables?.strings),
          frames: count(tables?.frames),
          stacks: count(tables?.stacks),
          series: count(tables?.series),
        },
        window: this.window,
        limits: {
          rows: {
            strings: this.rowsMax,
            frames: this.rowsMax,
            stacks: this.rowsMax,
            series: this.rowsMax,
          },
          messageBytes: 4_194_304n,
        },
      },
    });
  }

  #take(call: Call, batch: StreamBatch): void {
    if (this.#ended.has(call)) return;
    this.batches++;
    const mood = this.mood();
    const sequence = Number(batch.sequence);
    if (mood === 'break-before') return this.#fail(call, 'write_unknown: no');
    const known = this.#tables;
    if (known === undefined || batch.epoch > known.epoch) {
      const { additions } = batch;
      const isFirst = [
        additions?.firstString,
        additions?.firstFrame,
        additions?.firstStack,
        additions?.firstSeries,
      ].every((id) => (id ?? 0) <= 1);
      if (!isFirst) return this.#fail(call, 'stream_order: an epoch that does not begin');
      this.#tables = fresh(batch.epoch);
    } else if (batch.epoch < known.epoch) return undefined;
    if (mood === 'forget-epoch') {
      this.#tables = undefined;
      return this.#ack(call, batch.epoch);
    }
    if (sequence > this.settled + 1) return this.#fail(call, `stream_order: gap at ${sequence}`);
    const tables = this.#tables as Tables;
    this.#add(tables, batch);
    if (tables.stacks.length - 1 > this.rowsMax) return this.#fail(call, 'stream_limit: rows');
    if (mood === 'refuse') this.#refused.push(sequence);
    else if (sequence === this.settled + 1) this.#store(tables, batch);
    this.settled = Math.max(this.settled, sequence);
    if (mood === 'break-after') return this.#fail(call, 'draining: no');
    if (mood === 'late') setTimeout(() => this.#ack(call, 0), 5);
    else if (mood !== 'silent') this.#ack(call, 0);
    return undefined;
  }

  #add(tables: Tables, { additions }: StreamBatch): void {
    if (additions === undefined) return;
    const { strings, frames, stackParent, stackFrame, series } = additions;
    const append = (into: string[], first: number, rows: readonly string[]): void => {
      if (rows.length === 0) return;
      if (first < 1 || first > into.length) throw new Error(`a first id of ${first}`);
      for (const [index, row] of rows.entries()) {
        const have = into[first + index];
        if (have === undefined) into.push(row);
        else if (have !== row) throw new Error(`${have} became ${row}`);
      }
    };
    const at = (rows: readonly string[], id: number): string => {
      const row = rows[id];
      if (row === undefined) throw new Error(`unknown id ${id}`);
      return row;
    };
    append(tables.strings, additions.firstString, strings);
    const placed = (frames?.function ?? []).map((name, index) => {
      const file = at(tables.strings, frames?.file[index] ?? 0);
      return `${at(tables.strings, name)}@${file}:${frames?.line[index] ?? 0}`;
    });
    append(tables.frames, additions.firstFrame, placed);
    for (const [index, parent] of stackParent.entries()) {
      const frame = at(tables.frames, stackFrame[index] as number);
      const row = `${at(tables.stacks, parent)};${frame}`;
      append(tables.stacks, additions.firstStack + index, [row]);
    }
    const families = series.map(({ labels, types }) =>
      JSON.stringify([
        labels.map(({ name, value }) => `${name}=${value}`),
        types.map(({ profileType, period }) => `${profileType}/${period}`),
      ]),
    );
    append(tables.series, additions.firstSeries, families);
  }

  #store(tables: Tables, { parts }: StreamBatch): void {
    for (const part of parts) {
      const count = part.stackDelta.length;
      const [labels, types] = JSON.parse(tables.series[part.series] as string) as [
        string[],
        string[],
      ];
      const own = part.labelName.map(
        (name, index) =>
          `${tables.strings[name]}=${tables.strings[part.labelValue[index] as number]}`,
      );
      this.seen.add([...labels, ...own].join());
      for (const { spanId, entries } of part.spans) {
        this.seen.add(`${Buffer.from(spanId).toString('hex')} ${entries}`);
      }
      let id = 0;
      for (const [entry, delta] of part.stackDelta.entries()) {
        id += delta;
        const stack = tables.stacks[id];
        if (stack === undefined) throw new Error(`unknown stack ${id}`);
        for (const [index, type] of types.entries()) {
          const column = part.typeColumn[index] ?? index;
          const scale = part.typeScale[index] ?? 0n;
          const value =
            (part.values[column * count + entry] as bigint) * (scale === 0n ? 1n : scale);
          const key = `${type} ${stack}`;
          this.sums.set(key, (this.sums.get(key) ?? 0n) + value);
        }
      }
    }
  }

  #ack(call: Call, ended: number): void {
    const refused = this.#refused.splice(0).map((sequence) => ({
      sequence: BigInt(sequence),
      reason: 'malformed_batch',
    }));
    const end = ended === 0 ? {} : { epochEnd: { epoch: ended, reason: 'epoch_unknown' } };
    this.#reply(call, {
      case: 'ack',
      value: { settled: BigInt(this.settled), window: this.window, refused, ...end },
    });
  }

  #reply(call: Call, message: Reply): void {
    if (this.#ended.has(call)) return;
    const response = create(StreamResponseSchema, { message });
    call.write(Buffer.from(toBinary(StreamResponseSchema, response)));
  }

  #fail(call: Call, details: string): void {
    this.#ended.add(call);
    call.emit('error', { code: status.UNAVAILABLE, details });
  }
}
