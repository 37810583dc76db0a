import { fromBinary } from '@bufbuild/protobuf';
import { type Profile as Pprof, ProfileSchema } from '../../../src/gen/google/v1/profile_pb.ts';
import type { AnyValue } from '../../../src/gen/opentelemetry/proto/common/v1/common_pb.ts';
import type { ExportProfilesServiceRequest } from '../../../src/gen/opentelemetry/proto/collector/profiles/v1development/profiles_service_pb.ts';
import type {
  Profile,
  ProfilesDictionary,
  Sample,
  ValueType,
} from '../../../src/gen/opentelemetry/proto/profiles/v1development/profiles_pb.ts';
import type { OtlpPush } from '../../../src/profile/otlp/split.ts';

/** A push as plain text and numbers: what has to come out of a request, whatever the way. */
export interface PlainPush {
  readonly profile: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly profileId: string;
  readonly types: string;
  readonly period: bigint;
  readonly time: bigint;
  readonly duration: bigint;
  readonly samples: readonly PlainSample[];
}

interface PlainSample {
  /** Leaf first. */
  readonly frames: readonly string[];
  readonly labels: readonly string[];
  readonly value: bigint;
}

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const idOf = (bytes: Uint8Array): string => (bytes.every((byte) => byte === 0) ? '' : hexOf(bytes));

/** What an OTLP request says, by the rules and with nothing shared with the reader but them. */
export function plainOfRequest(request: ExportProfilesServiceRequest): PlainPush[] {
  const { dictionary } = request;
  const pushes: PlainPush[] = [];
  let index = 0;
  for (const { resource, scopeProfiles } of request.resourceProfiles) {
    for (const { scope, profiles } of scopeProfiles) {
      for (const profile of profiles) {
        const d = dictionary as ProfilesDictionary;
        const attributes = new Map<string, string>();
        for (const { key, keyStrindex, value } of [
          ...(resource?.attributes ?? []),
          ...(scope?.attributes ?? []),
        ]) {
          const name = key === '' ? d.stringTable[keyStrindex] : key;
          const text = scalarText(value, d);
          if (name !== undefined && name !== '' && text !== '' && !attributes.has(name)) {
            attributes.set(name, text);
          }
        }
        for (const push of plainOfProfile(profile, d, attributes)) {
          pushes.push({ ...push, profile: index });
        }
        index++;
      }
    }
  }
  return pushes;
}

function scalarText(value: AnyValue | undefined, d: ProfilesDictionary): string {
  const one = value?.value;
  if (one?.case === 'stringValue') return one.value;
  if (one?.case === 'stringValueStrindex') return d.stringTable[one.value] ?? '';
  return one?.case === 'intValue' ? String(one.value) : '';
}

function plainOfProfile(
  profile: Profile,
  d: ProfilesDictionary,
  attributes: ReadonlyMap<string, string>,
): Omit<PlainPush, 'profile'>[] {
  const typeOf = (type: ValueType | undefined): [string, string] => [
    d.stringTable[type?.typeStrindex ?? 0] ?? '',
    d.stringTable[type?.unitStrindex ?? 0] ?? '',
  ];
  const sampleType = typeOf(profile.sampleType);
  const periodType = typeOf(profile.periodType);
  const isCpu =
    sampleType.join('/') === 'samples/count' &&
    periodType.join('/') === 'cpu/nanoseconds' &&
    profile.period > 0n;
  const name = isCpu
    ? 'process_cpu'
    : (periodType[0] || sampleType[0] || 'profile').replaceAll(/\W/g, '_');
  const shown = isCpu ? ['cpu', 'nanoseconds'] : sampleType;
  const executable = attributes.get('process.executable.name') ?? '';
  const unknown = executable === '' ? 'unknown_service' : `unknown_service:${executable}`;
  const ownService = attributes.get('service.name') ?? unknown;
  // Samples that name no service come first.
  const services = new Map<string, PlainSample[]>([[ownService, []]]);
  for (const sample of profile.samples) {
    const value =
      (sample.values.length > 0
        ? sample.values.reduce((a, b) => a + b, 0n)
        : BigInt(sample.timestampsUnixNano.length)) * (isCpu ? profile.period : 1n);
    const own = attributesOf(sample, d);
    const service =
      own.find(([key, text]) => key === 'service.name' && text !== '')?.[1] ?? ownService;
    const labels = own.filter(([key, text]) => key !== 'service.name' && key !== '' && text !== '');
    const link = d.linkTable[sample.linkIndex];
    if (link !== undefined && idOf(link.spanId) !== '') labels.push(['span_id', idOf(link.spanId)]);
    if (link !== undefined && idOf(link.traceId) !== '') {
      labels.push(['trace_id', idOf(link.traceId)]);
    }
    const list = services.get(service) ?? [];
    services.set(service, list);
    list.push({
      frames: (d.stackTable[sample.stackIndex]?.locationIndices ?? []).flatMap((location) =>
        frameOf(location, d),
      ),
      labels: labels.map((pair) => pair.join('=')),
      value,
    });
  }
  const used = [...services].filter(([, samples]) => samples.length > 0);
  return used.map(([service, samples]) => ({
    labels: {
      ...Object.fromEntries(attributes),
      ...(attributes.has('service.name') ? { 'service.name': service } : {}),
      __name__: /^\d/.test(name) ? `_${name}` : name,
      __otel__: 'true',
      service_name: service,
    },
    profileId: idOf(profile.profileId),
    types: [...shown, ...periodType].join(':'),
    period: profile.period > 0n ? profile.period : 0n,
    time: profile.timeUnixNano,
    duration: profile.durationNano,
    samples,
  }));
}

function attributesOf(sample: Sample, d: ProfilesDictionary): [string, string][] {
  return sample.attributeIndices.map((index) => {
    const attribute = d.attributeTable[index];
    const one = attribute?.value?.value;
    const text = one?.case === 'intValue' ? '' : scalarText(attribute?.value, d);
    return [d.stringTable[attribute?.keyStrindex ?? 0] ?? '', text];
  });
}

function frameOf(index: number, d: ProfilesDictionary): string[] {
  const location = d.locationTable[index];
  if (location === undefined) return [];
  const { address, lines, mappingIndex } = location;
  if (index === 0 && address === 0n && lines.length === 0 && mappingIndex === 0) return [];
  const mapping = d.mappingTable[mappingIndex];
  const builds = ['gnu', 'go', 'htlhash'].map((kind) =>
    (mapping?.attributeIndices ?? [])
      .map((at) => d.attributeTable[at])
      .find(
        (one) => d.stringTable[one?.keyStrindex ?? 0] === `process.executable.build_id.${kind}`,
      ),
  );
  const best = builds.find((one) => one !== undefined);
  const isNumber = best?.value?.value.case === 'intValue';
  const build = best === undefined || isNumber ? '' : scalarText(best.value, d);
  const file = d.stringTable[mapping?.filenameStrindex ?? 0] ?? '';
  const named = lines.map(({ functionIndex, line, column }) => {
    const fn = d.functionTable[functionIndex];
    const system = d.stringTable[fn?.systemNameStrindex ?? 0] ?? '';
    const own = d.stringTable[fn?.nameStrindex ?? 0] ?? '';
    const name = own === '' ? system : own;
    const source = d.stringTable[fn?.filenameStrindex ?? 0] ?? '';
    return name === '' && source === ''
      ? undefined
      : [name, system, source, fn?.startLine, line, column].join('|');
  });
  const texts = named.filter((one) => one !== undefined);
  return [[file, build, address, ...texts].join(' ')];
}

/** The same of what the reader made, read by the generated code. */
export function plainOfPush({ profile, labels, profileId, payload }: OtlpPush): PlainPush {
  const pprof = fromBinary(ProfileSchema, payload);
  const text = (index: bigint): string => pprof.stringTable[Number(index)] as string;
  const [type] = pprof.sampleType;
  return {
    profile,
    labels: Object.fromEntries(labels),
    profileId,
    types: [
      text(type?.type ?? 0n),
      text(type?.unit ?? 0n),
      text(pprof.periodType?.type ?? 0n),
      text(pprof.periodType?.unit ?? 0n),
    ].join(':'),
    period: pprof.period,
    time: pprof.timeNanos,
    duration: pprof.durationNanos,
    samples: pprof.sample.map((sample) => ({
      frames: sample.locationId.map((id) => locationText(pprof, id, text)),
      labels: sample.label.map(({ key, str }) => `${text(key)}=${text(str)}`),
      value: sample.value[0] as bigint,
    })),
  };
}

function locationText(pprof: Pprof, id: bigint, text: (index: bigint) => string): string {
  const location = pprof.location.find((one) => one.id === id);
  const mapping = pprof.mapping.find((one) => one.id === location?.mappingId);
  const lines = (location?.line ?? []).map(({ functionId, line, column }) => {
    const fn = pprof.function.find((one) => one.id === functionId);
    if (fn === undefined) return 'missing';
    const { name, systemName, filename, startLine } = fn;
    return [text(name), text(systemName), text(filename), startLine, line, column].join('|');
  });
  return [
    text(mapping?.filename ?? 0n),
    text(mapping?.buildId ?? 0n),
    location?.address,
    ...lines,
  ].join(' ');
}
