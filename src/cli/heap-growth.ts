import { setFlagsFromString } from 'node:v8';
import { LIMITS } from '../base/limits.ts';

/**
 * Has V8 collect in full, in each thread, when its heap is so much larger than what lived after the last time. By
 * itself it waits for up to four times that where the machine has memory: garbage, but resident. A Node whose
 * V8 does not know the flag says so and goes on.
 */
export function boundHeapGrowth(): void {
  setFlagsFromString(`--heap-growing-percent=${LIMITS.heapGrowthPercent}`);
}
