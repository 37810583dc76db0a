/**
 * What is fuzzed: readers of bytes and texts that anybody may send. A target reads one input and throws
 * a TephraError if it refuses it; anything else that it throws is a finding.
 */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { join } from 'node:path';
import { create, toBinary, toJsonString } from '@bufbuild/protobuf';
import { ProfileSchema } from '../../src/gen/google/v1/profile_pb.ts';
import { atOnce } from '../../src/base/steps.ts';
import { ExportProfilesServiceRequestSchema } from '../../src/gen/opentelemetry/proto/collector/profiles/v1development/profiles_service_pb.ts';
import { splitOtlp } from '../../src/profile/otlp/split.ts';
import { PushRequestSchema, type PushRequest } from '../../src/gen/push/v1/push_pb.ts';
import {
  IngestService,
  PlainProfileSchema,
  PushRequestSchema as TephraPushSchema,
} from '../../src/gen/tephra/v1/ingest_pb.ts';
import { parseAppName } from '../../src/profile/ingest-naming.ts';
import { validateLabels } from '../../src/profile/labels.ts';
import { FoldedReader } from '../../src/profile/folded/read.ts';
import { PlainReader } from '../../src/profile/plain/read.ts';
import { PprofReader } from '../../src/profile/pprof/read.ts';
import { splitByLabels } from '../../src/profile/sample-labels.ts';
import { matchesSeries } from '../../src/query/selector/matcher.ts';
import { parseSelector } from '../../src/query/selector/parse.ts';
import { bodyFormat, parseIngestParameters } from '../../src/server/http/ingest/parameters.ts';
import { ingestSeries } from '../../src/server/http/ingest/labels.ts';
import { decodeJson, decodeMessage, envelopeOf } from '../../src/server/body/rpc-body.ts';
import { parseMultipart } from '../../src/server/http/ingest/multipart.ts';
import { displayNamesOf } from '../../src/server/http/ingest/sample-type-config.ts';
import { smallRequest } from '../profile/otlp/request.ts';
import { touchAll } from '../profile/pprof/plain.ts';
import { streamTarget } from './stream-target.ts';
import { shapeOf, type Shape } from './wire-tree.ts';

/** One reader. */
export interface Target {
  /** Inputs that mutants are made of. */
  readonly seeds: readonly Uint8Array[];
  /** Words that are put into inputs. */
  readonly words: readonly string[];
  /** Of inputs that are protobuf messages: three mutants in four are such messages too. */
  readonly shape?: Shape;
  /** Throws a TephraError for an input that it refuses. */
  readonly run: (input: Uint8Array) => void;
}

const NOW_MS = Date.UTC(2026, 2, 14);

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('utf8');
}

function profile(name: string): Uint8Array {
  const path = join(import.meta.dirname, '..', 'data', 'pprof', `${name}.pb.gz`);
  return new Uint8Array(gunzipSync(readFileSync(path)));
}

function texts(...list: string[]): Uint8Array[] {
  return list.map((one) => new Uint8Array(Buffer.from(one)));
}

function pprofTarget(): Target {
  const reader = new PprofReader();
  return {
    seeds: [profile('go.threadcreate'), profile('go.goroutine')],
    words: ['', 'main', '\u00e9', 'x'.repeat(300)],
    shape: shapeOf(ProfileSchema),
    run: (input) => {
      const columns = reader.read(input);
      touchAll(columns);
      splitByLabels(columns, 10);
    },
  };
}

function plainTarget(): Target {
  const reader = new PlainReader();
  const seed = create(PlainProfileSchema, {
    strings: ['main', 'work', 'a.go'],
    types: [{ type: 'cpu', unit: 'nanoseconds' }],
    periodType: { type: 'cpu', unit: 'nanoseconds' },
    period: 10n,
    frameFunction: [0, 1],
    frameFile: [2, 2],
    frameLine: [3, 300],
    stackFrames: [0, 0, 1],
    stackDepth: [1, 2],
    values: [3n, 1n << 60n],
  });
  return {
    seeds: [toBinary(PlainProfileSchema, seed)],
    words: ['', 'main', '\u00e9', 'x'.repeat(300)],
    shape: shapeOf(PlainProfileSchema),
    run: (input) => touchAll(reader.read(input)),
  };
}

function foldedTarget(): Target {
  const reader = new FoldedReader();
  const none = { type: '', unit: '' };
  const options = { sampleType: none, periodType: none, period: 0n, unitScale: 10_000_000 };
  return {
    seeds: texts('main;a b;c 10\nmain 3\n', '# x\n\nmain;;b 9223372036854775807\r\n'),
    words: [';', ' ', '\n', '#', '9223372036854775807', '0'],
    run: (input) => touchAll(reader.read(input, { ...options, format: 'folded' })),
  };
}

function pushTarget(): Target {
  const labels = [
    { name: '__name__', value: 'process_cpu' },
    { name: 'service_name', value: 'shop' },
  ];
  const push = create(PushRequestSchema, {
    series: [
      { labels, samples: [{ rawProfile: profile('go.threadcreate').slice(0, 60), ID: 'x' }] },
    ],
  });
  const tephra = create(TephraPushSchema, {
    profiles: [
      { labels, id: 'k', startMs: 5n, payload: { case: 'plain', value: Uint8Array.of(1) } },
    ],
  });
  return {
    seeds: [
      toBinary(PushRequestSchema, push),
      toBinary(TephraPushSchema, tephra),
      Buffer.from(`\x02${toJsonString(PushRequestSchema, push)}`),
    ],
    words: ['__name__', 'service_name', '', '\\ud800', '"series":', '[', '{', '},{', 'null'],
    run: (input) => {
      // The first byte chooses what reads the rest.
      const rest = input.subarray(1);
      const choice = (input[0] ?? 0) % 3;
      if (choice === 0) envelopeOf(rest);
      if (choice === 1) decodeMessage(IngestService.method.push.input, rest);
      if (choice === 2) {
        decodeJson(PushRequestSchema, rest);
        return;
      }
      const request = decodeMessage(PushRequestSchema, input) as PushRequest;
      for (const series of request.series) {
        validateLabels(
          series.labels.map(({ name, value }) => [name, value] as const),
          'push',
        );
      }
    },
  };
}

function selectorTarget(): Target {
  const type = { name: 'cpu', type: 'cpu', unit: 'ns', periodType: '', periodUnit: '' };
  return {
    seeds: texts(
      '{service_name="shop",pod=~"a.*|b",x!="",y!~"(?i)z{2,3}"}',
      'process_cpu:cpu:nanoseconds:cpu:nanoseconds{a="\\u00e9\\n"}',
      '{"quoted.name"=`raw`, }',
      'metric{}',
    ),
    words: ['=~', '!~', '!=', '"', '`', '\\x', '\\u', '(?i)', '[^', '{', '}', ',', '**', '{1000}'],
    run: (input) => {
      const matchers = parseSelector(text(input));
      matchesSeries(matchers, [['service_name', 'shop']], type);
    },
  };
}

function urlTarget(): Target {
  return {
    seeds: texts(
      'name=app.cpu%7Ba%3Db%2Cc%3Dd%7D&from=1700000000&until=1700000010&format=pprof&sampleRate=100',
      'name=app&from=now-1h&spyName=gospy&units=samples&aggregationType=sum',
      'name=app.wall{x=y}&from=1700000000000000000&format=lines',
      '--x\r\nContent-Disposition: form-data; name="profile"\r\n\r\nabc\r\n--x--\r\n',
      '{"contentions":{"display-name":"mutex_count"}}',
    ),
    words: ['name=', '%7B', '&from=', 'now-', '%', '--x', '\r\n', '{"', '20260314', 'format=jfr'],
    run: (input) => {
      const choice = (input[0] ?? 0) % 4;
      if (choice === 0) {
        parseMultipart(input, 'multipart/form-data; boundary=x');
        return;
      }
      if (choice === 1) {
        displayNamesOf(input);
        return;
      }
      const query = new URLSearchParams(text(input));
      const parameters = parseIngestParameters(query, NOW_MS);
      parseAppName(parameters.name);
      ingestSeries(parameters.name, parameters.spyName, bodyFormat(parameters.format, ''));
    },
  };
}

function otlpTarget(): Target {
  const reader = new PprofReader();
  const options = { bytesMax: 1 << 20, droppedAttributes: ['process.pid'] };
  const request = smallRequest();
  return {
    seeds: [toBinary(ExportProfilesServiceRequestSchema, request)],
    words: ['', 'service.name', 'samples', '\u00e9', 'x'.repeat(300)],
    shape: shapeOf(ExportProfilesServiceRequestSchema),
    run: (input) => {
      const { pushes } = atOnce(splitOtlp(input, { isJson: false, ...options }));
      for (const { labels, payload } of pushes) {
        validateLabels(labels, 'push');
        touchAll(reader.read(payload));
      }
    },
  };
}

function otlpJsonTarget(): Target {
  const options = { isJson: true, bytesMax: 1 << 20, droppedAttributes: [] };
  return {
    seeds: texts(
      '{"resourceProfiles":[{"resource":{"attributes":[{"key":"a","value":{"intValue":"8"}}]},' +
        '"scopeProfiles":[{"profiles":[{"sampleType":{"typeStrindex":1},"samples":[{"values":["3"]}],' +
        '"timeUnixNano":"5","profileId":"00112233445566778899aabbccddeeff"}]}]}],' +
        '"dictionary":{"stringTable":["","cpu"],"locationTable":[{},{"address":7}],' +
        '"linkTable":[{"traceId":"","spanId":"0011223344556677"}],"x":[null,true,-1.5e3,{"y":"\\n"}]}}',
    ),
    words: ['{', '}', '[', ']', '":', ',', 'null', '1e9', '\\u', '"lines":', '"stringTable":', '-'],
    run: (input) => void atOnce(splitOtlp(input, options)),
  };
}

/** Targets by name. */
export const TARGETS: Readonly<Record<string, () => Target>> = {
  pprof: pprofTarget,
  plain: plainTarget,
  folded: foldedTarget,
  push: pushTarget,
  selector: selectorTarget,
  url: urlTarget,
  stream: streamTarget,
  otlp: otlpTarget,
  'otlp-json': otlpJsonTarget,
};
