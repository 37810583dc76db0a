/**
 * Hostile clients against a server of its own process: `node bench/hostile.mjs [--quick] [kind ...]`.
 * 500 connections of each kind for 60 s (--quick: 40 for 2 s), one kind after the other, while a good
 * client pushes and asks. Prints for each kind the server's RSS (before, most in each third, after) and the good
 * client's times; ends by itself, and with exit code 1 if a good call failed. Loopback only.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startServer } from './own-server.mjs';

const args = process.argv.slice(2);
const quick = args.includes('--quick');
const only = args.filter((arg) => !arg.startsWith('--'));
const COUNT = quick ? 40 : 500;
const SECONDS = quick ? 2 : Number(process.env.SECONDS ?? 60);

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const PORT_OF_GOOD = args.indexOf('--good') + 1;
if (PORT_OF_GOOD > 0) {
  // A process of its own, or its times would be those of the hostile clients' event loop.
  const until = performance.now() + Number(args[PORT_OF_GOOD + 1]);
  const told = await goodClient(() => performance.now() < until, Number(args[PORT_OF_GOOD]));
  process.stdout.write(JSON.stringify(told));
  process.exit(0);
}

const folder = mkdtempSync(join(tmpdir(), 'tephra-hostile-'));
const { server, port } = await startServer(join(folder, 'data'), [
  '--workers=1',
  '--max-connections-per-address=unlimited',
  '--max-connection-rate=unlimited',
]);

/** Shares are by address, so the hostile ones have another than the good one. */
const HOSTILE = '127.0.0.2';
const rssMb = () =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))[1]) / 1024;
const cpuSeconds = () => {
  const fields = readFileSync(`/proc/${server.pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
};

/** A POST over HTTP/1.1; rejects if it is not 200. */
function post(path, body, headers = {}, to = port) {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port: to, path, method: 'POST', headers, timeout: 20_000 };
    const request = http.request(options, (response) => {
      response.resume();
      response.on('end', () =>
        response.statusCode === 200
          ? resolve()
          : reject(new Error(`${path} ${response.statusCode}`)),
      );
    });
    request.on('timeout', () => request.destroy(new Error('timeout')));
    request.on('error', reject);
    request.end(body);
  });
}

const socket = (onOpen) => {
  const made = net.connect({ port, host: '127.0.0.1', localAddress: HOSTILE }, () =>
    onOpen?.(made),
  );
  made.on('error', () => {});
  return made;
};
const session = () => {
  const made = http2.connect(`http://127.0.0.1:${port}`, { localAddress: HOSTILE });
  made.on('error', () => {});
  return made;
};
const stream = (from, path, contentType, more = {}) => {
  const made = from.request({
    ':method': 'POST',
    ':path': path,
    'content-type': contentType,
    te: 'trailers',
    ...more,
  });
  made.on('error', () => {});
  return made;
};
const PUSH = '/push.v1.PusherService/Push';
const MERGE = '/querier.v1.QuerierService/SelectMergeStacktraces';
const merge = () =>
  JSON.stringify({
    profileTypeID: 'process_cpu:cpu:nanoseconds:cpu:nanoseconds',
    labelSelector: '{}',
    start: Date.now() - 3_600_000,
    end: Date.now() + 60_000,
    maxNodes: 1_000_000,
  });

/** Each makes one hostile connection and returns what ends it. `alive` is asked before every step. */
const KINDS = {
  'idle sockets': () => socket(),
  'half a preface': () => socket((s) => s.write('PRI * HTTP/2.0\r\n')),
  'slow headers': (alive) =>
    socket(async (s) => {
      s.write('GET /ready HTTP/1.1\r\nHost: x\r\nX: ');
      while (alive() && !s.destroyed) {
        s.write('a');
        await sleep(500);
      }
    }),
  'slow bodies': (alive) =>
    socket(async (s) => {
      s.write('POST /ingest?name=x HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n');
      while (alive() && !s.destroyed) {
        s.write('a');
        await sleep(500);
      }
    }),
  'one-byte chunks': (alive) =>
    socket(async (s) => {
      s.write('POST /ingest?name=x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n');
      const many = Buffer.from('1\r\na\r\n'.repeat(2_000));
      while (alive() && !s.destroyed) {
        if (!s.write(many)) {
          await new Promise((resolve) => s.once('drain', resolve).once('close', resolve));
        }
        await sleep(20);
      }
    }),
  'one-byte DATA frames': (alive) => {
    // By hand: an HTTP/2 client library would put bytes together.
    const s = socket(async () => {
      const frame = (type, flags, id, payload) => {
        const head = Buffer.alloc(9);
        head.writeUIntBE(payload.length, 0, 3);
        head[3] = type;
        head[4] = flags;
        head.writeUInt32BE(id, 5);
        return Buffer.concat([head, payload]);
      };
      const literal = (name, value) =>
        Buffer.concat([
          Buffer.from([0, name.length]),
          Buffer.from(name),
          Buffer.from([value.length]),
          Buffer.from(value),
        ]);
      const headers = Buffer.concat([
        literal(':method', 'POST'),
        literal(':scheme', 'http'),
        literal(':path', PUSH),
        literal(':authority', 'x'),
        literal('content-type', 'application/grpc'),
        literal('te', 'trailers'),
      ]);
      s.resume();
      s.write(
        Buffer.concat([
          Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
          frame(4, 0, 0, Buffer.alloc(0)),
          frame(1, 4, 1, headers),
        ]),
      );
      const prefix = Buffer.alloc(5);
      prefix.writeUInt32BE(60_000, 1);
      s.write(frame(0, 0, 1, prefix));
      // 60,000 bytes: as much as the window of the connection lets through at once.
      for (let sent = 0; sent < 59_000 && alive() && !s.destroyed; sent += 500) {
        const part = Buffer.concat(
          Array.from({ length: 500 }, () => frame(0, 0, 1, Buffer.from([7]))),
        );
        if (!s.write(part)) {
          await new Promise((resolve) => s.once('drain', resolve).once('close', resolve));
        }
        await sleep(10);
      }
    });
    return s;
  },
  'answers never read, HTTP/1.1': (alive) =>
    socket(async (s) => {
      s.pause();
      const body = merge();
      const text =
        `POST ${MERGE} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n` +
        `Content-Length: ${body.length}\r\n\r\n${body}`;
      for (let i = 0; i < 20 && alive() && !s.destroyed; i++) {
        s.write(text);
        await sleep(200);
      }
    }),
  'answers never read, HTTP/2': (alive) => {
    const from = http2.connect(`http://127.0.0.1:${port}`, {
      localAddress: HOSTILE,
      settings: { initialWindowSize: 0 },
    });
    from.on('error', () => {});
    (async () => {
      for (let i = 0; i < 20 && alive() && !from.destroyed; i++) {
        stream(from, MERGE, 'application/json').end(merge());
        await sleep(200);
      }
    })();
    return from;
  },
  'rapid resets': (alive) => {
    let from = session();
    (async () => {
      while (alive()) {
        if (from.destroyed || from.closed) {
          await sleep(100);
          from = session();
        }
        for (let i = 0; i < 20 && !from.destroyed && !from.closed; i++) {
          stream(from, PUSH, 'application/grpc').close(http2.constants.NGHTTP2_CANCEL);
        }
        await sleep(100);
      }
      from.destroy();
    })();
    return { destroy: () => from.destroy() };
  },
  'many open streams': () => {
    const from = session();
    for (let i = 0; i < 100; i++) stream(from, PUSH, 'application/grpc').write(Buffer.from([0, 0]));
    return from;
  },
  pings: (alive) => {
    const from = session();
    (async () => {
      while (alive() && !from.destroyed) {
        for (let i = 0; i < 10 && !from.destroyed; i++) from.ping(() => {});
        await sleep(50);
      }
    })();
    return from;
  },
};

/** Pushes and asks over and over; its times, and what failed. */
async function goodClient(alive, to) {
  const times = [];
  const failed = [];
  while (alive()) {
    const startedMs = performance.now();
    try {
      await post(
        `/ingest?name=good.cpu&from=${Date.now()}&until=${Date.now() + 1}`,
        'main;work 3\nmain 1\n',
        {},
        to,
      );
      await post(
        '/querier.v1.QuerierService/ProfileTypes',
        '{}',
        {
          'content-type': 'application/json',
        },
        to,
      );
      times.push(performance.now() - startedMs);
    } catch (error) {
      failed.push(error.message);
    }
    await sleep(50);
  }
  times.sort((a, b) => a - b);
  const at = (q) => times[Math.min(times.length - 1, Math.floor(q * times.length))] ?? -1;
  return { calls: times.length, failed, p50: at(0.5), p99: at(0.99), most: at(1) };
}

/** The good client in a process of its own, for so long. */
function goodProcess(ms) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [
      fileURLToPath(import.meta.url),
      '--good',
      String(port),
      String(ms),
    ]);
    let text = '';
    child.stdout.on('data', (chunk) => (text += chunk));
    child.once('exit', () => resolve(JSON.parse(text)));
  });
}

// Something worth asking for: 20,000 stacks, an answer of about 3 MB.
for (let part = 0; part < 4; part++) {
  const lines = Array.from(
    { length: 5_000 },
    (_, i) => `main;f${part}_${i % 97};a_rather_long_name_of_a_function_${part}_${i} 1\n`,
  );
  await post(`/ingest?name=big.cpu&from=${Date.now()}&until=${Date.now() + 1}`, lines.join(''));
}
for (let i = 0; i < 30; i++) {
  await post('/querier.v1.QuerierService/ProfileTypes', '{}', {
    'content-type': 'application/json',
  });
}

const line = (...cells) => process.stdout.write(`${cells.join('  ')}\n`);
const baseline = await goodProcess(1_500);
line(`${COUNT} connections of each kind for ${SECONDS} s`);
line(
  `alone: ${baseline.calls} pairs, p50 ${baseline.p50.toFixed(1)} ms, p99 ${baseline.p99.toFixed(1)} ms, RSS ${rssMb().toFixed(0)} MB`,
);
let bad = 0;
let worst = 0;
const first = rssMb();
for (const [name, make] of Object.entries(KINDS)) {
  if (only.length > 0 && !only.some((part) => name.includes(part))) continue;
  const before = rssMb();
  const cpuBefore = cpuSeconds();
  const until = performance.now() + SECONDS * 1_000;
  const alive = () => performance.now() < until && server.exitCode === null;
  const made = [];
  for (let i = 0; i < COUNT; i++) {
    made.push(make(alive));
    if (i % 50 === 49) await sleep(20);
  }
  // By thirds of the time: what is flat does not grow from the second to the last.
  const peaks = [before, 0, 0];
  const startedMs = performance.now();
  const watch = setInterval(() => {
    const third = Math.min(2, Math.floor((performance.now() - startedMs) / (SECONDS * 333.4)));
    peaks[third] = Math.max(peaks[third], rssMb());
  }, 100);
  const good = await goodProcess(SECONDS * 1_000);
  clearInterval(watch);
  const cpu = cpuSeconds() - cpuBefore;
  for (const one of made) one.destroy();
  await sleep(quick ? 300 : 3_000);
  bad += good.failed.length;
  worst = Math.max(worst, ...peaks);
  line(
    name.padEnd(30),
    `RSS ${before.toFixed(0)} -> most ${peaks.map((peak) => peak.toFixed(0)).join(', ')} -> ${rssMb().toFixed(0)} MB`,
    `CPU ${cpu.toFixed(1)} s`,
    `good: ${good.calls} pairs, p50 ${good.p50.toFixed(1)}, p99 ${good.p99.toFixed(1)}, most ${good.most.toFixed(0)} ms, failed ${good.failed.length}${good.failed.length > 0 ? ` (${good.failed[0]})` : ''}`,
  );
}
line(
  `summary: RSS ${first.toFixed(0)} MB before, ${worst.toFixed(0)} MB at most; failed good calls: ${bad}`,
);
server.kill('SIGTERM');
await new Promise((resolve) => {
  const timer = setTimeout(() => server.kill('SIGKILL'), 25_000);
  server.once('exit', () => {
    clearTimeout(timer);
    resolve();
  });
});
rmSync(folder, { recursive: true, force: true });
process.exit(bad > 0 || (quick && worst > first + 200) ? 1 : 0);
