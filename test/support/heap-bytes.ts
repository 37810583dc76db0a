import { Session, type HeapProfiler } from 'node:inspector/promises';

const INTERVAL_BYTES = 32_768;

/**
 * How many bytes the JavaScript heap of this process gave out while `run` ran, those collected since
 * too; estimated by samples. What a machine does beside it changes nothing. 0 if it is not `wanted`.
 */
export async function heapBytesOf(wanted: boolean, run: () => Promise<void>): Promise<number> {
  if (!wanted) {
    await run();
    return 0;
  }
  const session = new Session();
  session.connect();
  try {
    await session.post('HeapProfiler.startSampling', {
      samplingInterval: INTERVAL_BYTES,
      includeObjectsCollectedByMajorGC: true,
      includeObjectsCollectedByMinorGC: true,
    });
    await run();
    const { profile } = await session.post('HeapProfiler.stopSampling');
    return selfBytes(profile.head);
  } finally {
    session.disconnect();
  }
}

function selfBytes({ selfSize, children }: HeapProfiler.SamplingHeapProfileNode): number {
  return children.reduce((sum, child) => sum + selfBytes(child), selfSize);
}
