import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { parse, parseAllDocuments } from 'yaml';
import { LIMITS } from '../../src/base/limits.ts';
import { loadConfig } from '../../src/config/load.ts';

const root = new URL('../../', import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8');

/** Seconds that a supervisor has to leave a stopping server. */
const DRAIN_S = loadConfig({ flags: {}, environment: {} }).drainTimeout / 1_000;
const PORT = 4_040;

interface Container {
  readonly image: string;
  readonly args: readonly string[];
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
  readonly [probe: `${string}Probe`]: { readonly httpGet: { readonly path: string } } | undefined;
}

interface Manifest {
  readonly kind: string;
  readonly spec: {
    readonly replicas?: number;
    readonly ports?: readonly { readonly port: number; readonly targetPort: string }[];
    readonly volumeClaimTemplates?: readonly { readonly metadata: { readonly name: string } }[];
    readonly template?: {
      readonly spec: {
        readonly terminationGracePeriodSeconds: number;
        readonly containers: readonly [Container];
        readonly volumes: readonly { readonly name: string }[];
      };
    };
  };
}

describe('the systemd unit', () => {
  const unit = read('deploy/systemd/tephra.service');
  const value = (key: string): string | undefined =>
    new RegExp(`^${key}=(.*)$`, 'm').exec(unit)?.[1];

  test('starts a command that is in the package, where it may write', () => {
    const { bin } = JSON.parse(read('package.json')) as { bin: Record<string, string> };
    const [, name = '', command] = value('ExecStart')?.split(' ') ?? [];
    expect(Object.keys(bin)).toContain(name);
    expect(command).toBe('serve');
    expect(value('ExecStart')).toContain(`--data-dir /var/lib/${value('StateDirectory')}`);
  });

  test('leaves more time to stop than the server takes at most', () => {
    expect(Number(value('TimeoutStopSec'))).toBeGreaterThan(DRAIN_S);
  });

  const skipped =
    spawnSync('systemd-analyze', ['--version']).status === 0 ? '' : ' (skipped: no systemd)';
  const systemdTest = skipped === '' ? test : test.skip;
  systemdTest(`is one that systemd reads${skipped}`, () => {
    const file = new URL('deploy/systemd/tephra.service', root).pathname;
    const { status, stderr } = spawnSync('systemd-analyze', ['verify', file]);
    // oxlint-disable-next-line jest/no-standalone-expect -- it is in a test, by another name
    expect({ status, stderr: stderr.toString() }).toEqual({ status: 0, stderr: '' });
  });
});

describe('the compose file', () => {
  const { services, volumes } = parse(read('deploy/compose/compose.yaml')) as {
    services: Record<
      'tephra' | 'grafana',
      {
        readonly build?: string;
        readonly ports: readonly string[];
        readonly volumes: readonly string[];
        readonly stop_grace_period?: string;
      }
    >;
    volumes: Record<string, unknown>;
  };

  test('publishes to loopback only: there are no credentials', () => {
    for (const { ports } of Object.values(services)) {
      for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:/);
    }
    expect(services.tephra.ports).toContain(`127.0.0.1:${PORT}:${PORT}`);
  });

  test('builds the image of this checkout, and keeps its data in a volume', () => {
    const built = new URL(`deploy/compose/${services.tephra.build}/Dockerfile`, root);
    expect(existsSync(built)).toBe(true);
    expect(readFileSync(built, 'utf8')).toContain('VOLUME /data');
    expect(services.tephra.volumes).toEqual(['data:/data']);
    expect(Object.keys(volumes)).toEqual(['data']);
    expect(Number.parseInt(services.tephra.stop_grace_period ?? '', 10)).toBeGreaterThan(DRAIN_S);
  });

  test('gives Grafana a data source that points at Tephra', () => {
    const [mount = ''] = services.grafana.volumes;
    const [source = ''] = mount.split(':');
    const { datasources } = parse(read(`deploy/compose/${source}`)) as {
      datasources: readonly { readonly type: string; readonly url: string }[];
    };
    expect(datasources).toMatchObject([
      { type: 'grafana-pyroscope-datasource', url: `http://tephra:${PORT}` },
    ]);
  });
});

describe('the Kubernetes manifest', () => {
  const documents = parseAllDocuments(read('deploy/kubernetes/tephra.yaml'));
  const find = (kind: string): Manifest['spec'] | undefined =>
    documents
      .map((document) => document.toJS() as Manifest)
      .find((manifest) => manifest.kind === kind)?.spec;
  const set = find('StatefulSet');
  const pod = set?.template?.spec;
  const container = pod?.containers[0];

  test('is YAML', () => {
    for (const { errors } of documents) expect(errors).toEqual([]);
  });

  test('has one replica, since a data directory has one writer', () => {
    expect(set?.replicas).toBe(1);
    expect(pod?.terminationGracePeriodSeconds).toBeGreaterThan(DRAIN_S);
  });

  test('starts the server with flags that it has', () => {
    const flags = Object.fromEntries(
      (container?.args ?? [])
        .filter((text) => text.startsWith('--'))
        .map((text) => {
          const [name = '', setting = 'true'] = text.slice(2).split('=');
          return [name.replaceAll(/-(\w)/g, (_, letter: string) => letter.toUpperCase()), setting];
        }),
    );
    const config = loadConfig({ flags, environment: {} });
    expect(config).toMatchObject({ listen: { port: PORT }, insecureNoAuth: true });
    expect(container?.volumeMounts.map(({ mountPath }) => mountPath)).toContain(config.dataDir);
  });

  test('mounts only volumes that it has', () => {
    const known = [
      ...(pod?.volumes ?? []),
      ...(set?.volumeClaimTemplates ?? []).map((c) => c.metadata),
    ];
    for (const { name } of container?.volumeMounts ?? []) {
      expect(known.map((volume) => volume.name)).toContain(name);
    }
  });

  test.each(['startup', 'readiness', 'liveness'] as const)(
    'asks a path that exists whether it is well (%s)',
    (kind) => {
      const path = container?.[`${kind}Probe`]?.httpGet.path ?? '';
      expect(read('src/server/http/health.ts')).toContain(`'${path}'`);
    },
  );

  test('keeps everyone out but its own namespace', () => {
    expect(find('NetworkPolicy')).toMatchObject({
      ingress: [{ from: [{ podSelector: {} }], ports: [{ port: 'http' }] }],
    });
    expect(find('Service')?.ports).toMatchObject([{ port: PORT, targetPort: 'http' }]);
  });
});

test('every deployment gives the memory that the budgets add up to', () => {
  // What the budgets name, with as much again for code, heap and garbage.
  const named = LIMITS.dictionaryBytes + LIMITS.headBytes + LIMITS.queryBytes;
  expect(2 * 1024 ** 3).toBeGreaterThan(named * 2);
  expect(read('deploy/systemd/tephra.service')).toContain('MemoryMax=2G');
  expect(read('deploy/compose/compose.yaml')).toContain('mem_limit: 2g');
  expect(read('deploy/kubernetes/tephra.yaml')).toContain('memory: 2Gi');
});
