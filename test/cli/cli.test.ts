import { Readable } from 'node:stream';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { fromBinary } from '@bufbuild/protobuf';
import { systemTimers } from '../../src/base/clock.ts';
import { runCli } from '../../src/cli/program.ts';
import { ProfileSchema } from '../../src/gen/google/v1/profile_pb.ts';
import { NO_NOTES } from '../../src/query/request.ts';
import { startFixture, type Fixture } from '../server/fixture.ts';
import { makeCertificate } from '../support/certificate.ts';

const NOW = Date.parse('2026-08-01T12:00:00Z');
const VERSION = (JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }).version;
const CPU = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds';

let it: Fixture;
let folder: string;
beforeAll(async () => {
  it = await startFixture();
  folder = mkdtempSync(join(tmpdir(), 'tephra-cli-'));
  writeFileSync(join(folder, 'shop.api.pb.gz'), 'profile');
  writeFileSync(join(folder, 'stacks.folded'), 'a;b 3\n');
});
afterAll(async () => {
  rmSync(folder, { recursive: true });
  await it.server.stop(1_000);
});
afterEach(() => {
  it.engine.calls.length = 0;
  it.engine.pushed.length = 0;
  it.engine.notes = NO_NOTES;
  it.engine.outcome = () => ({ outcome: 'stored', entries: 1 });
  it.engine.labelValues = async () => [CPU, 'wall:wall:nanoseconds:wall:nanoseconds'];
});

async function tephra(
  ...args: string[]
): Promise<{ code: number; out: string; err: string; bytes: Buffer }> {
  const out: Buffer[] = [];
  let err = '';
  const code = await runCli(args, {
    out: { write: (text) => out.push(Buffer.from(text as string)) },
    err: {
      write: (text) => {
        err += String(text);
      },
    },
    input: () => Promise.resolve(Buffer.from('a;b 3\n')),
    inputStream: () => Readable.from([Buffer.from('a;b 3\n')]),
    environment: { TEPHRA_URL: it.url },
    timers: systemTimers,
    clock: { nowMs: () => NOW, monotonicMs: () => 0 },
  });
  const bytes = Buffer.concat(out);
  return { code, out: bytes.toString(), err, bytes };
}

describe('tephra', () => {
  test.each([
    [['--help'], 0, 'Examples:'],
    [['serve', '--help'], 0, 'TEPHRA_RETENTION_MINUTES'],
    [['push', '--help'], 0, '--at <TIME>'],
    [['query', 'diff', '--help'], 0, '--base-from'],
    [['--version'], 0, VERSION],
    [['serv'], 2, 'Did you mean serve'],
    [['serve', '--lissten', 'x'], 2, 'Did you mean --listen'],
    [['serve', '--listen'], 2, 'argument missing'],
    [['serve', '--listen', '127.0.0.1:65536'], 2, '--listen: expected HOST:PORT'],
    [['serve', '--listen', '0.0.0.0:0'], 2, 'insecure_listen'],
    [['serve', '--config', '/does/not/exist'], 2, '--config: ENOENT'],
    [['push'], 2, 'missing required argument'],
    [['push', 'f', '--at', 'yesterday'], 2, '--at: expected now-1h'],
    [['push', 'f', '--label', 'x'], 2, '--label: expected name=value'],
    [['push', 'f', '--server', 'ftp://x'], 2, '--server: expected http'],
    [['query', 'top', '--from', 'now', '--to', 'now-1h'], 2, '--from is after --to'],
    [['query', 'top', '--format', 'gif'], 2, 'Allowed choices are table, json'],
    [['query', 'top', '--service', 'a', '--selector', 'x{}'], 2, '--selector: expected {...}'],
  ])('%j exits with %i and says %j', async (args, code, says) => {
    const run = await tephra(...args);
    expect(run.out + run.err).toContain(says);
    expect(run.code).toBe(code);
  });

  test('says how to start a server that is not there', async () => {
    const gone = await startFixture();
    await gone.server.stop(0);
    for (const args of [
      ['push', join(folder, 'stacks.folded')],
      ['query', 'top'],
    ]) {
      const run = await tephra(...args, '--server', gone.url);
      expect(run.code).toBe(1);
      expect(run.err).toContain(`no server answers at ${gone.url}`);
      expect(run.err).toContain('tephra serve');
    }
  });
});

describe('a server by TLS', () => {
  test('says what is wrong between it and the URL', async () => {
    const secret = await startFixture({ tls: makeCertificate() });
    const [http, https] = ['http', 'https'].map((scheme) => `${scheme}://127.0.0.1`);
    for (const [url, says, next] of [
      [`${https}:${secret.port}`, 'is not trusted: self', 'NODE_EXTRA_CA_CERTS=FILE'],
      [`${http}:${secret.port}`, 'ended the connection', 'name it by https://'],
      [`${https}:${it.port}`, 'speaks no TLS', 'name it by http://'],
    ] as const) {
      for (const args of [
        ['push', join(folder, 'stacks.folded')],
        ['query', 'top'],
      ]) {
        const run = await tephra(...args, '--server', url);
        expect([url, run.code, run.err]).toEqual([url, 1, expect.stringContaining(says)]);
        expect(run.err).toContain(next);
        expect(run.err).toContain(url);
      }
    }
    await secret.server.stop(0);
  });
});

describe('tephra push', () => {
  test('tells of the service that a label named', async () => {
    const run = await tephra('push', join(folder, 'shop.api.pb.gz'), '--label', 'service_name=web');
    expect(run.err).toBe(
      'stored 1 profile (7 bytes) of web\nquery: tephra query top --service web\n',
    );
    expect(it.engine.pushed[0]?.labels).toContainEqual(['service_name', 'web']);
  });

  test('sends pprof at the present time and says what to ask next', async () => {
    const run = await tephra('push', join(folder, 'shop.api.pb.gz'), '--label', 'region=eu');
    expect(run).toMatchObject({ code: 0, out: '' });
    expect(run.err).toBe(
      'stored 1 profile (7 bytes) of shop\nquery: tephra query top --service shop\n',
    );
    expect(it.engine.pushed).toMatchObject([{ format: 'pprof', fromMs: NOW, surface: 'ingest' }]);
    expect(it.engine.pushed[0]?.labels).toEqual(
      expect.arrayContaining([
        ['service_name', 'shop'],
        ['region', 'eu'],
      ]),
    );
  });

  test('keeps the time of the file, or takes a time', async () => {
    const file = join(folder, 'shop.api.pb.gz');
    await tephra('push', file, '--service', 'web', '--at', 'file');
    expect(it.engine.pushed[0]?.fromMs).toBeUndefined();
    const run = await tephra('push', file, '--service', 'web', '--at', '2026-07-31T00:00:00Z');
    expect(it.engine.pushed[1]?.fromMs).toBe(Date.parse('2026-07-31T00:00:00Z'));
    expect(run.err).toContain('--from 2026-07-30T23:59:00.000Z --to 2026-07-31T00:01:00.000Z');
  });

  test('sends folded text as CPU samples', async () => {
    expect((await tephra('push', join(folder, 'stacks.folded'))).code).toBe(0);
    expect(it.engine.pushed).toMatchObject([{ format: 'folded', sampleRateHz: 100 }]);
  });

  test('says why a profile was refused', async () => {
    it.engine.outcome = () => ({
      outcome: 'refused',
      error: { reason: 'not_in_ingestion_window', detail: 'too old' },
    });
    const run = await tephra('push', join(folder, 'stacks.folded'), '--at', 'file');
    expect(run.code).toBe(1);
    expect(run.err).toContain(
      'stacks.folded: the server refused: not_in_ingestion_window: too old',
    );
    expect(run.err).toContain('--at now');
  });

  test('stores the good files of several and says which were not', async () => {
    const files = ['nope.pb.gz', 'stacks.folded'].map((name) => join(folder, name));
    const run = await tephra('push', ...files, '--service', 'x');
    expect(run.code).toBe(1);
    expect(run.err).toContain('nope.pb.gz');
    expect(run.err).toContain('stored 1 profile (6 bytes) of x');
    expect(run.err).toContain('1 of 2 files were not stored');
  });

  test('says which file cannot be read', async () => {
    const run = await tephra('push', join(folder, 'nope.pb.gz'));
    expect([run.code, run.err]).toEqual([1, expect.stringContaining('nope.pb.gz')]);
  });
});

describe('tephra query', () => {
  test('top chooses the likeliest type and says so', async () => {
    const run = await tephra('query', 'top', '--service', 'shop', '--selector', '{region="eu"}');
    expect(run.code).toBe(0);
    expect(run.err).toContain(`type ${CPU}\n  --type takes also wall:`);
    expect(run.out).toContain('11 ns  100.0%  11 ns  100.0%  main');
    expect(it.engine.calls.at(-1)?.args[0]).toMatchObject({
      selector: '{service_name="shop",region="eu"}',
      startMs: NOW - 3_600_000,
      endMs: NOW,
      profileType: CPU,
      maxNodes: 1_048_576,
    });
  });

  test('merge writes folded stacks', async () => {
    const run = await tephra('query', 'merge', '--format', 'folded', '--type', CPU);
    expect(run).toMatchObject({ code: 0, out: 'main 11\n', err: '' });
  });

  test('merge writes pprof to a file or a pipe', async () => {
    const file = join(folder, 'out.pb.gz');
    const run = await tephra('query', 'merge', '--format', 'pprof', '--type', CPU, '--out', file);
    expect(run.err).toContain(`wrote ${file}`);
    const piped = await tephra('query', 'merge', '--format', 'pprof', '--type', CPU);
    for (const bytes of [readFileSync(file), piped.bytes]) {
      expect(fromBinary(ProfileSchema, gunzipSync(bytes))).toEqual(it.engine.profile);
    }
  });

  test('diff compares with the time just before, or a baseline', async () => {
    const run = await tephra('query', 'diff', '--type', CPU, '--from', 'now-10m');
    expect(run.code).toBe(0);
    expect(it.engine.calls.at(-1)?.args[0]).toMatchObject({
      left: { startMs: NOW - 1_200_001, endMs: NOW - 600_001 },
      right: { startMs: NOW - 600_000, endMs: NOW },
    });
    await tephra('query', 'diff', '--type', CPU, '--base-from', 'now-25h', '--base-to', 'now-24h');
    expect(it.engine.calls.at(-1)?.args[0]).toMatchObject({
      left: { startMs: NOW - 25 * 3_600_000, endMs: NOW - 24 * 3_600_000 },
    });
  });

  test('says when an answer is not exact', async () => {
    it.engine.notes = { ...NO_NOTES, wholeMinutes: 2 };
    expect((await tephra('query', 'top', '--type', CPU)).err).toContain('"wholeMinutes":2');
  });

  test('says what is there when nothing matches', async () => {
    it.engine.labelValues = async (_request, name) => (name === 'service_name' ? ['a', 'b'] : []);
    const run = await tephra('query', 'top', '--service', 'c');
    expect([run.code, run.err]).toEqual([
      1,
      expect.stringContaining('services in that range: a, b'),
    ]);
    it.engine.labelValues = async () => [];
    expect((await tephra('query', 'top')).err).toContain('tephra push FILE');
  });
});
