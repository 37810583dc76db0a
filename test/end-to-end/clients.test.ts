/**
 * The calls of Grafana's data source by the clients that exist: each client must get the same answer,
 * over cleartext and TLS, and the answer must be what the list of profiles says.
 */
import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { create, toJson } from '@bufbuild/protobuf';
import { PusherService, PushRequestSchema } from '../../src/gen/push/v1/push_pb.ts';
import { QuerierService } from '../../src/gen/querier/v1/querier_pb.ts';
import { makeCertificate } from '../support/certificate.ts';
import { dataSourceCalls, type KnownProfile, knownProfiles, pprofOf } from './data-source-calls.ts';
import {
  buildGoClients,
  curlClients,
  goClients,
  noCurl,
  noGo,
  nodeClients,
  type Outcome,
  type Place,
  type RealClient,
} from './real-clients.ts';
import { Servers, tell } from './server-process.ts';

const withoutGo = noGo();
const withoutCurl = noCurl();
jest.setTimeout(withoutGo === undefined ? 600_000 : 60_000);

const startMs = Math.floor((Date.now() - 600_000) / 60_000) * 60_000;
const profiles = knownProfiles(startMs);
const CALLS = dataSourceCalls(profiles, startMs);
const servers = new Servers(3);
const clients: RealClient[] = [];
let answered = 0;

beforeAll(async () => {
  const { cert, key } = makeCertificate();
  const [certFile, keyFile] = ['cert.pem', 'key.pem'].map((name) => servers.path(name));
  writeFileSync(certFile as string, cert);
  writeFileSync(keyFile as string, key);
  const goBinary = servers.path('go-clients');
  if (withoutGo === undefined) await buildGoClients(goBinary);
  for (const tls of [false, true]) {
    const files = ['--tls-cert', certFile as string, '--tls-key', keyFile as string];
    const flags = tls ? [...files, '--workers', '1'] : [];
    const server = await servers.start(tls ? 'tls' : 'clear', ...flags);
    await server.pusher.push({ series: profiles.map(seriesOf) });
    const place: Place = {
      url: server.url.replace('127.0.0.1', 'localhost'),
      port: server.port,
      certificate: tls ? { file: certFile as string, text: cert } : undefined,
    };
    const all = [
      ...nodeClients(place),
      ...(withoutCurl === undefined ? curlClients(place) : []),
      ...(withoutGo === undefined ? goClients(goBinary, place) : []),
    ];
    clients.push(
      ...all.map((client) => ({ ...client, name: `${client.name}${tls ? ' TLS' : ''}` })),
    );
  }
});
afterAll(async () => {
  for (const client of clients) client.close();
  await servers.end();
  tell(`${clients.length} clients x ${CALLS.length} calls: ${answered} answers, all alike`);
  tell(`clients: ${clients.map(({ name }) => name).join(', ')}`);
});

function seriesOf(profile: KnownProfile) {
  const labels = { __name__: profile.type.split(':')[0] ?? '', ...profile.labels };
  return {
    labels: Object.entries(labels).map(([name, value]) => ({ name, value })),
    samples: [{ rawProfile: pprofOf(profile), ID: profile.id }],
  };
}

describe('every client gets the same answer, and the right one', () => {
  test.each(CALLS.map((call) => [call.name, call] as const))('%s', async (_, call) => {
    const outcomes = await Promise.all(
      clients.map(async (client): Promise<Outcome & { readonly client: string }> => {
        const outcome = await client.ask(call.method, call.request);
        answered++;
        return { client: client.name, ...outcome };
      }),
    );
    const [first] = outcomes;
    for (const outcome of outcomes) {
      if (call.varies === true) call.check?.(outcome.answer ?? null);
      else expect(outcome).toEqual({ ...first, client: outcome.client });
    }
    if (call.refused === undefined) {
      expect(first).toMatchObject({ code: 'ok' });
      call.check?.(first?.answer ?? null);
    } else {
      const [code, told] = call.refused;
      expect(first).toMatchObject({ code, message: expect.stringContaining(told) });
    }
  });
});

test('every client pushes, and finds what it pushed', async () => {
  for (const [i, client] of clients.entries()) {
    const [profile] = profiles;
    const name = `pushed-${i}`;
    const series = seriesOf({
      ...(profile as KnownProfile),
      id: '',
      labels: { service_name: name },
    });
    const request = toJson(PushRequestSchema, create(PushRequestSchema, { series: [series] }));
    const pushed = await client.ask(PusherService.method.push, request);
    expect({ client: client.name, ...pushed }).toMatchObject({ client: client.name, code: 'ok' });
    const { answer } = await client.ask(QuerierService.method.selectMergeStacktraces, {
      profileTypeID: profile?.type ?? '',
      labelSelector: `{service_name="${name}"}`,
      start: String(startMs),
      end: String(startMs + 300_000),
    });
    expect(answer).toMatchObject({ flamegraph: { total: '1000' } });
  }
});

const has = (name: string): boolean => clients.some((client) => client.name.startsWith(name));
const skipped = (why: string | undefined): string =>
  why === undefined ? '' : ` (skipped: ${why})`;
const withGo = withoutGo === undefined ? describe : describe.skip;
const withCurl = withoutCurl === undefined ? describe : describe.skip;
withGo(`Go's clients${skipped(withoutGo)}`, () => {
  test('are among them', () => expect(has('Go ')).toBe(true));
});
withCurl(`curl${skipped(withoutCurl)}`, () => {
  test('is among them', () => expect(has('curl')).toBe(true));
});
