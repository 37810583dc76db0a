import { expect, test } from '@jest/globals';
import { isInstantaneous } from '../../src/profile/instantaneous.ts';
import { parseProfileType } from '../../src/profile/profile-type.ts';

test.each([
  ['memory:inuse_space:bytes:space:bytes', true],
  ['memory:inuse_objects:count:space:bytes', true],
  ['goroutine:goroutine:count:goroutine:count', true],
  ['goroutines:goroutine:count:goroutine:count', true],
  ['threadcreate:threadcreate:count::', true],
  ['memory:live:count:objects:count', true],
  ['memory:alloc_space:bytes:space:bytes', false],
  ['process_cpu:cpu:nanoseconds:cpu:nanoseconds', false],
  ['process_cpu:samples:count:cpu:nanoseconds', false],
  ['mutex:contentions:count:contentions:count', false],
  ['block:delay:nanoseconds:contentions:count', false],
  ['wall:wall:nanoseconds:wall:nanoseconds', false],
])('%s is a state: %s', (id, expected) => {
  expect(isInstantaneous(parseProfileType(id))).toBe(expected);
});
