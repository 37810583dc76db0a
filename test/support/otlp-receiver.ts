import { systemTimers } from '../../src/base/clock.ts';
import { LIMITS } from '../../src/base/limits.ts';
import type { Metrics } from '../../src/base/metrics.ts';
import { Credits } from '../../src/server/body/credits.ts';
import { OtlpReceiver } from '../../src/server/otlp/receive.ts';
import type { Engine } from '../../src/shards/engine.ts';

/** A receiver of OTLP as a server has it. */
export function otlpReceiver(engine: Engine, metrics: Metrics): OtlpReceiver {
  const splitting = new Credits({
    limitBytes: LIMITS.otlpSplitBytes,
    waitMs: LIMITS.inFlightWaitMs,
    timers: systemTimers,
  });
  return new OtlpReceiver({ engine, metrics, splitting, droppedAttributes: ['process.pid'] });
}
