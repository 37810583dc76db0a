import { EventEmitter } from 'node:events';
import { describe, expect, test } from '@jest/globals';
import { status } from '@grpc/grpc-js';
import type { TephraError } from '../../../src/base/errors.ts';
import { LIMITS } from '../../../src/base/limits.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import { createMetrics } from '../../../src/base/metrics.ts';
import type { StreamOpened } from '../../../src/ingest/stream/messages.ts';
import { AddressCredits } from '../../../src/server/body/address-credits.ts';
import { Credits } from '../../../src/server/body/credits.ts';
import { OpenCalls } from '../../../src/server/open-calls.ts';
import { boundStream } from '../../../src/server/stream/bounds.ts';
import { StreamHub } from '../../../src/server/stream/hub.ts';
import type { HeldMessage, StreamCall } from '../../../src/server/stream/session.ts';
import { openBytes } from '../../support/stream-agent.ts';
import { HandTime, settled } from './hand-time.ts';

const OPENED: StreamOpened = {
  settled: 0,
  epoch: 0,
  rows: { strings: 0, frames: 0, stacks: 0, series: 0 },
  limits: {
    rows: { strings: 1, frames: 1, stacks: 1, series: 1 },
    textBytes: 1,
    parts: 1,
    entries: 1,
  },
  replaces: undefined,
};

/** A call as the library hands it over; what is written is taken at once. */
class FakeCall extends EventEmitter {
  written = 0;
  ended: { code: number; details: string } | undefined;

  constructor() {
    super();
    this.on('error', (error: { code: number; details: string }) => (this.ended = error));
  }

  write(_bytes: Buffer, done?: () => void): boolean {
    this.written++;
    done?.();
    return true;
  }

  end(): this {
    this.ended = { code: status.OK, details: '' };
    return this;
  }

  pause(): this {
    return this;
  }

  resume(): this {
    return this;
  }

  take(bytes: Uint8Array): void {
    const message: HeldMessage = { bytes, hold: { resize: () => {}, release: () => {} } };
    this.emit('data', message);
  }
}

function makeHub(openStream: () => Promise<StreamOpened> = () => Promise.resolve(OPENED)) {
  const time = new HandTime();
  const closed: number[] = [];
  const engine = {
    streamLabels: (labels: unknown) => labels,
    streamShard: () => 3,
    openStream,
    takeStream: () => new Promise(() => {}),
    closeStream: (_shard: number, call: number) => {
      closed.push(call);
      return Promise.resolve();
    },
  };
  const hub = new StreamHub({
    engine: engine as never,
    timers: time,
    clock: time,
    isBusy: () => false,
    openCalls: new OpenCalls(),
    logger: silentLogger,
    metrics: createMetrics(),
  });
  const serve = (): FakeCall => {
    const call = new FakeCall();
    hub.serve(call as unknown as StreamCall);
    return call;
  };
  return { time, hub, serve, closed };
}

const OPEN = openBytes({
  instance: Uint8Array.from({ length: 16 }, () => 7),
  labels: [['service_name', 'slow']],
});

describe('a call ends when nothing comes', () => {
  test('no open in time', async () => {
    const { time, hub, serve } = makeHub();
    const call = serve();
    await time.pass(LIMITS.streamOpenTimeoutMs - 1_000);
    expect(call.ended).toBeUndefined();
    await time.pass(2_000);
    expect(call.ended?.code).toBe(status.DEADLINE_EXCEEDED);
    expect(call.ended?.details).toContain('no open within');
    expect(hub.size).toBe(0);
  });

  test('no answer to open in time', async () => {
    let answer = (_: StreamOpened): void => {};
    const { time, hub, serve, closed } = makeHub(
      () => new Promise((resolve) => (answer = resolve)),
    );
    const call = serve();
    call.take(OPEN);
    await time.pass(LIMITS.streamOpenTimeoutMs + 1_000);
    expect(call.ended?.code).toBe(status.DEADLINE_EXCEEDED);
    expect(hub.size).toBe(0);
    // The engine comes too late: it learns that nobody is there.
    closed.length = 0;
    answer(OPENED);
    await settled();
    expect(call.written).toBe(0);
    expect(closed).toHaveLength(1);
  });

  test('silence after open', async () => {
    const { time, hub, serve, closed } = makeHub();
    const call = serve();
    call.take(OPEN);
    await settled();
    expect(call.written).toBe(1);
    await time.pass(LIMITS.streamSilenceMs - 1_000);
    expect(call.ended).toBeUndefined();
    await time.pass(2_000);
    expect(call.ended?.code).toBe(status.UNAVAILABLE);
    expect(call.ended?.details).toContain('no message for');
    expect(hub.size).toBe(0);
    expect(closed).toHaveLength(1);
  });

  test('a message that does not come to its end, and not one that does', async () => {
    const { time, hub, serve } = makeHub();
    serve();
    const ends: TephraError[] = [];
    let partial: object | undefined = {};
    const stop = hub.watch(
      () => partial,
      (error) => ends.push(error),
    );
    // Others follow each other.
    let other = {};
    const alive: TephraError[] = [];
    hub.watch(
      () => other,
      (error) => alive.push(error),
    );
    for (let ms = 0; ms < LIMITS.streamMessageTimeoutMs; ms += 10_000) {
      other = {};
      serve();
      await time.pass(10_000);
      if (ms === 0) expect(ends).toEqual([]);
    }
    other = {};
    serve();
    await time.pass(3_000);
    expect(ends[0]).toMatchObject({ reason: 'request_timeout' });
    expect(alive).toEqual([]);
    partial = undefined;
    ends.length = 0;
    await time.pass(2 * LIMITS.streamMessageTimeoutMs);
    expect(ends).toEqual([]);
    stop();
  });
});

/** A stream of HTTP/2 that notes how it ended. */
class FakeStream extends EventEmitter {
  destroyed = false;
  code: number | undefined;

  close(code: number): void {
    this.code = code;
  }

  destroy(): void {
    this.destroyed = true;
    this.emit('close');
  }
}

function makeBounds(limitBytes: number) {
  const time = new HandTime();
  const total = new Credits({ limitBytes, waitMs: 2_000, timers: time });
  const credits = new AddressCredits(
    total,
    () => new Credits({ limitBytes, waitMs: 2_000, timers: time }),
  );
  const stream = new FakeStream();
  const statuses: { code: number }[] = [];
  let listener: { onReceiveMessage(message: Buffer): void } | undefined;
  const call = {
    stream,
    getPeer: () => '10.0.0.1:5',
    start: (given: typeof listener) => (listener = given),
    sendStatus: (one: { code: number }) => statuses.push(one),
    startRead: () => {},
  };
  const partial = { bytes: 0, bytesMax: 1_000 };
  const watch = () => () => {};
  const bounded = boundStream(call as never, { credits, partial, timers: time, watch });
  const got: HeldMessage[] = [];
  bounded.start({
    onReceiveMetadata: () => {},
    onReceiveMessage: (message: HeldMessage) => got.push(message),
    onReceiveHalfClose: () => {},
    onCancel: () => {},
  });
  const come = (bytes: number): void => listener?.onReceiveMessage(Buffer.alloc(bytes));
  return { time, total, stream, statuses, got, come, bounded };
}

describe('the bounds of a call', () => {
  test('a message that finds no room in time ends the call as overloaded', async () => {
    const { time, total, statuses, got, come } = makeBounds(100);
    come(80);
    expect(got).toHaveLength(1);
    come(50);
    await time.pass(1_000);
    expect([got.length, statuses.length]).toEqual([1, 0]);
    await time.pass(2_000);
    expect(statuses).toMatchObject([{ code: status.UNAVAILABLE }]);
    got[0]?.hold.release();
    expect(total.heldBytes).toBe(0);
  });

  test('a message waits for room, and has it when there is some', async () => {
    const { time, total, got, statuses, come } = makeBounds(100);
    come(80);
    come(50);
    got[0]?.hold.release();
    await time.pass(0);
    expect(got).toHaveLength(2);
    expect(total.heldBytes).toBe(50);
    got[1]?.hold.release();
    await time.pass(10_000);
    expect([total.heldBytes, statuses.length]).toEqual([0, 0]);
  });

  test('a call that has ended is cut when its client does not leave', async () => {
    const { time, stream, statuses, bounded } = makeBounds(100);
    bounded.sendStatus({ code: status.UNAVAILABLE, details: 'draining' });
    expect(statuses).toHaveLength(1);
    await time.pass(LIMITS.streamEndMs - 1);
    expect(stream.destroyed).toBe(false);
    await time.pass(1);
    expect(stream.destroyed).toBe(true);
    expect(stream.code).toBe(8);
  });

  test('a call whose client leaves is left alone', async () => {
    const { time, stream, bounded } = makeBounds(100);
    bounded.sendStatus({ code: status.OK, details: '' });
    stream.emit('close');
    await time.pass(2 * LIMITS.streamEndMs);
    expect(stream.code).toBeUndefined();
  });
});
