import type { StreamLimits } from '../ingest/stream/messages.ts';
import type { Limits } from './host-contract.ts';

/** Those of the limits that hold for an epoch and a batch of a stream. */
export function streamLimits(limits: Limits): StreamLimits {
  return {
    rows: {
      strings: limits.streamStringsMax,
      frames: limits.streamFramesMax,
      stacks: limits.streamStacksMax,
      series: limits.streamSeriesMax,
    },
    textBytes: limits.streamTextBytesMax,
    parts: limits.streamPartsMax,
    entries: limits.streamEntriesMax,
  };
}
