import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { renderConfigurationDoc } from '../../src/config/document.ts';
import { isLoopback, loadConfig, unknownVariables } from '../../src/config/load.ts';
import { CONFIG_KEYS, flagName, settingMeta, variableName } from '../../src/config/schema.ts';

const none = { flags: {}, environment: {} };

describe('configuration', () => {
  test('needs nothing: every key has a default', () => {
    expect(loadConfig(none)).toEqual({
      listen: { host: '127.0.0.1', port: 4040 },
      dataDir: './data',
      tlsCert: undefined,
      tlsKey: undefined,
      pathPrefix: '',
      corsOrigins: [],
      otlpDropAttributes: ['process.pid'],
      workers: undefined,
      insecureNoAuth: false,
      selfProfile: true,
      logLevel: 'info',
      retentionRaw: 86_400_000,
      retentionMinutes: 31 * 86_400_000,
      allowedFuture: 600_000,
      maxBody: 64 * 1024 * 1024,
      maxInFlight: 64 * 1024 * 1024,
      maxConnections: 1_024,
      maxConnectionsPerAddress: 256,
      maxConnectionRate: 200,
      maxHeader: 16 * 1024,
      maxStreams: 4_096,
      maxStreamsPerAddress: 2_048,
      maxStreamsPerConnection: 100,
      maxQueriesPerAddress: 128,
      prefaceTimeout: 5_000,
      headersTimeout: 10_000,
      requestTimeout: 30_000,
      queryTimeout: 30_000,
      idleTimeout: 120_000,
      keepAliveTimeout: 65_000,
      pageCache: 64 * 1024 * 1024,
      scrubRate: 1024 * 1024,
      ballast: 64 * 1024 * 1024,
      drainTimeout: 20_000,
    });
  });

  test('flags win over variables, variables over the file, the file over defaults', () => {
    const file = { path: 'tephra.json', text: '{"dataDir":"f","logLevel":"warn","workers":3}' };
    const environment = { TEPHRA_DATA_DIR: 'e', TEPHRA_LOG_LEVEL: 'error' };
    const config = loadConfig({ flags: { dataDir: 'x' }, environment, file });
    expect(config).toMatchObject({ dataDir: 'x', logLevel: 'error', workers: 3 });
  });

  test.each([
    ['listen', '[::1]:0', { host: '::1', port: 0 }],
    ['listen', 'localhost:65535', { host: 'localhost', port: 65_535 }],
    ['retentionRaw', '90m', 5_400_000],
    ['scrubRate', '0', 0],
    ['retentionMinutes', 'unlimited', Number.POSITIVE_INFINITY],
    ['allowedFuture', '0s', 0],
    ['maxBody', '1GiB', undefined],
    ['maxBody', '16MiB', 16_777_216],
    ['workers', '0', 0],
    ['maxConnections', 'unlimited', Number.POSITIVE_INFINITY],
    ['maxConnectionRate', '5', 5],
    ['pathPrefix', '/a/b/', '/a/b'],
    ['pathPrefix', 'tephra', '/tephra'],
    ['pathPrefix', '/', ''],
    ['corsOrigins', 'none', []],
    ['corsOrigins', 'https://a.example, http://b:3000', ['https://a.example', 'http://b:3000']],
    ['otlpDropAttributes', 'none', []],
    ['otlpDropAttributes', 'process.pid, container.id', ['process.pid', 'container.id']],
    ['insecureNoAuth', 'true', true],
  ] as const)('%s accepts %s', (key, text, value) => {
    const load = (): unknown => loadConfig({ flags: { [key]: text }, environment: {} })[key];
    if (value === undefined) expect(load).toThrow(/expected a size from 1KiB to 512MiB/);
    else expect(load()).toEqual(value);
  });

  test('a certificate needs its key', () => {
    const load = (): unknown => loadConfig({ flags: { tlsCert: 'a.pem' }, environment: {} });
    expect(load).toThrow('--tls-cert and --tls-key belong together');
  });

  test.each([
    ['listen', '4040'],
    ['listen', '127.0.0.1:65536'],
    ['listen', '127.0.0.1:abc'],
    ['listen', ':4040'],
    ['dataDir', ''],
    ['workers', '-1'],
    ['maxConnections', '0'],
    ['pathPrefix', '/a//b'],
    ['pathPrefix', '/a?b'],
    ['corsOrigins', 'a.example'],
    ['otlpDropAttributes', 'a,,b'],
    ['corsOrigins', 'https://a.example/path'],
    ['workers', '1.5'],
    ['retentionRaw', '10GB'],
    ['retentionRaw', '-1'],
    ['retentionRaw', '1e99'],
    ['retentionRaw', '5 parsecs'],
    ['retentionRaw', '1m'],
    ['retentionMinutes', '24'],
    ['logLevel', 'loud'],
    ['insecureNoAuth', 'maybe'],
    ['maxBody', '0B'],
  ] as const)('%s refuses %j and names the flag, the variable or the file', (key, text) => {
    const file = { path: '/etc/t.json', text: JSON.stringify({ [key]: text }) };
    const variable = variableName(key);
    expect(() => loadConfig({ ...none, flags: { [key]: text } })).toThrow(`${flagName(key)}: exp`);
    expect(() => loadConfig({ ...none, environment: { [variable]: text } })).toThrow(
      `${variable}: expected`,
    );
    expect(() => loadConfig({ ...none, file })).toThrow(`/etc/t.json: ${key}: expected`);
  });

  test('reports all wrong values at once', () => {
    const flags = { workers: 'x', logLevel: 'y' };
    expect(() => loadConfig({ ...none, flags })).toThrow(/--workers.*; --log-level/);
  });

  test.each([
    ['{"lissten":"x"}', /unknown key "lissten"; known are listen/],
    ['{"__proto__":{"listen":"x"}}', /unknown key "__proto__"/],
    ['[1]', /expected an object/],
    ['{', /not JSON/],
  ])('refuses a file by what is wrong: %s', (text, message) => {
    expect(() => loadConfig({ ...none, file: { path: 'c.json', text } })).toThrow(message);
  });

  test('refuses a file above a megabyte', () => {
    const text = `"${'x'.repeat(1024 * 1024)}"`;
    expect(() => loadConfig({ ...none, file: { path: 'c.json', text } })).toThrow(/larger than/);
  });

  test('refuses to listen beyond loopback unless told that there is no protection', () => {
    const flags = { listen: '0.0.0.0:4040' };
    expect(() => loadConfig({ ...none, flags })).toThrow(/insecure_listen: 0\.0\.0\.0:4040/);
    expect(loadConfig({ ...none, flags: { ...flags, insecureNoAuth: true } }).listen.host).toBe(
      '0.0.0.0',
    );
    expect(['127.0.0.1', '127.9.9.9', '::1', 'localhost'].every(isLoopback)).toBe(true);
    expect(['::', '10.0.0.1', '127.0.0.1.example.org'].some(isLoopback)).toBe(false);
  });

  test('tells variables that mean nothing', () => {
    const environment = { TEPHRA_LISTN: 'x', TEPHRA_LISTEN: 'y', TEPHRA_CORPUS: 'z', PATH: '' };
    expect(unknownVariables(environment)).toEqual(['TEPHRA_LISTN']);
  });

  test('describes every key, and docs/configuration.md is what the schema says', () => {
    for (const key of CONFIG_KEYS) expect(settingMeta(key).description.length).toBeGreaterThan(20);
    const document = readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8');
    expect(document).toBe(renderConfigurationDoc());
  });
});
