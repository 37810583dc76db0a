import type { Metrics } from '../../base/metrics.ts';
import type { Engine } from '../../shards/engine.ts';
import { capabilityMethods } from './capabilities.ts';
import { healthMethods, type Readiness } from './health.ts';
import type { OtlpReceiver } from '../otlp/receive.ts';
import type { AnyRpc } from './method.ts';
import { otlpMethods } from './otlp.ts';
import { pushMethods } from './push.ts';
import { querierMethods } from './querier.ts';
import { tephraIngestMethods } from './tephra-ingest.ts';
import { tephraQueryMethods } from './tephra-query.ts';

/** Every RPC that is served, on all protocols. */
export function rpcMethods(
  engine: Engine,
  metrics: Metrics,
  readiness: Readiness,
  otlp: OtlpReceiver,
): AnyRpc[] {
  const methods = [
    ...pushMethods(engine, metrics),
    ...querierMethods(engine),
    ...tephraQueryMethods(engine),
    ...tephraIngestMethods(engine, metrics),
    ...otlpMethods(otlp),
    ...capabilityMethods(),
  ];
  const services = methods.map(({ desc }) => desc.parent.typeName);
  return [...methods, ...healthMethods(readiness, services)];
}
