import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { Code, createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { startApp, type App } from '../../src/app.ts';
import { loadConfig } from '../../src/config/load.ts';
import { appDeps } from '../support/app-deps.ts';
import {
  ServerReflection,
  type ServerReflectionRequestSchema,
} from '../../src/gen/grpc/reflection/v1/reflection_pb.ts';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { HTTP_VERSIONS, RAW_WAYS, RawClient } from '../contract/rows/raw-ways.ts';
import { makeCertificate } from '../support/certificate.ts';
import { JSON_TYPE, send, startFixture } from './fixture.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tephra-operator-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** The name in the certificate that a new connection is shown. */
function shownName(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
      resolve(String(socket.getPeerCertificate().subject.CN));
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

test('a certificate that was replaced is used from the reload on, a broken one is not', async () => {
  const files = { tlsCert: join(folder, 'cert.pem'), tlsKey: join(folder, 'key.pem') };
  const place = ({ cert, key }: { cert: string; key: string }): void => {
    writeFileSync(files.tlsCert, cert);
    writeFileSync(files.tlsKey, key);
  };
  place(makeCertificate('first'));
  const dataDir = join(folder, 'data');
  const app: App = await startApp(
    loadConfig({
      flags: { listen: '127.0.0.1:0', dataDir, workers: '0', ...files },
      environment: {},
    }),
    appDeps(),
  );
  const { port } = app.address;
  expect(await shownName(port)).toBe('first');
  place(makeCertificate('second'));
  expect(await shownName(port)).toBe('first');
  await app.reloadTls();
  expect(await shownName(port)).toBe('second');
  place({ ...makeCertificate('third'), cert: 'no certificate' });
  await expect(app.reloadTls()).rejects.toMatchObject({ reason: 'invalid_configuration' });
  expect(await shownName(port)).toBe('second');
  await app.stop();
});

test('under a path prefix everything is there, and nothing beside it', async () => {
  const it = await startFixture({ pathPrefix: '/profiles' });
  const types = '/querier.v1.QuerierService/ProfileTypes';
  const status = async (path: string, body?: string): Promise<number> => {
    const method = body === undefined ? 'GET' : 'POST';
    return (await send(it.url + path, body, JSON_TYPE, method)).status;
  };
  expect(await status('/profiles/ready')).toBe(200);
  const raw = new RawClient(it.server.address.port);
  for (const way of RAW_WAYS) {
    const body = Buffer.from(way.codec === 'json' ? '{}' : '');
    const { code } = await raw.call(way, `profiles${types}`, body);
    // Clients of gRPC cannot send a prefix; over HTTP/2 it has none. In JSON only Connect's clients speak it.
    const isBeside = way.protocol === 'grpc' && way.codec === 'proto' && way.http === '2';
    expect([way.name, code]).toEqual([way.name, isBeside ? Code.Unimplemented : 0]);
    if (isBeside) expect((await raw.call(way, types.slice(1), body)).code).toBe(0);
  }
  for (const http of HTTP_VERSIONS) {
    const stacks = Buffer.from('main;work 3');
    const pushed = await raw.http(http, 'POST', '/profiles/ingest?name=a.cpu', {}, stacks);
    const found = await raw.http(http, 'GET', '/profiles/pprof?query=a:b:c:d:e', {}, undefined);
    expect([http, pushed.status, found.status]).toEqual([http, 200, 200]);
  }
  raw.close();
  expect(await status(types, '{}')).toBe(404);
  expect(await status('/ready')).toBe(404);
  // Not a prefix of the path, only of its text.
  expect(await status('/profiles-old/ready')).toBe(404);
  await it.server.stop(0);
});

const OTLP = 'opentelemetry.proto.collector.profiles.v1development.ProfilesService';

test('reflection names the services, and gives their files with what those import', async () => {
  const it = await startFixture();
  const client = createClient(ServerReflection, createGrpcTransport({ baseUrl: it.url }));
  type Question = MessageInitShape<typeof ServerReflectionRequestSchema>;
  async function* questions(): AsyncGenerator<Question> {
    await Promise.resolve();
    yield { messageRequest: { case: 'listServices', value: '' } };
    const value = 'querier.v1.QuerierService.Diff';
    yield { messageRequest: { case: 'fileContainingSymbol', value } };
    yield { messageRequest: { case: 'fileContainingSymbol', value: OTLP } };
    yield { messageRequest: { case: 'fileContainingSymbol', value: 'no.such.Thing' } };
  }
  const answers: unknown[] = [];
  for await (const { messageResponse } of client.serverReflectionInfo(questions())) {
    if (messageResponse.case === 'listServicesResponse') {
      answers.push(messageResponse.value.service.map(({ name }) => name));
    } else if (messageResponse.case === 'fileDescriptorResponse') {
      answers.push(
        messageResponse.value.fileDescriptorProto.map(
          (bytes) => fromBinary(FileDescriptorProtoSchema, bytes).name,
        ),
      );
    } else {
      answers.push(messageResponse.case);
    }
  }
  expect(answers).toEqual([
    expect.arrayContaining(['querier.v1.QuerierService', 'tephra.v1.QueryService', OTLP]),
    expect.arrayContaining(['querier/v1/querier.proto', 'types/v1/types.proto']),
    expect.arrayContaining([
      'opentelemetry/proto/profiles/v1development/profiles.proto',
      'opentelemetry/proto/common/v1/common.proto',
    ]),
    'errorResponse',
  ]);
  await it.server.stop(0);
});
