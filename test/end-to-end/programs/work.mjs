/** Work whose function names are looked for in profiles. */
import { createHash } from 'node:crypto';

const kept = [];

export function hashForAWhile(milliseconds) {
  const until = performance.now() + milliseconds;
  let digest = Buffer.alloc(32);
  while (performance.now() < until) digest = hashOnce(digest);
  return digest;
}

function hashOnce(bytes) {
  const hash = createHash('sha256');
  for (let i = 0; i < 50; i++) hash.update(bytes);
  return hash.digest();
}

/** Memory that stays in use. */
export function keepObjects(count) {
  for (let i = 0; i < count; i++) {
    kept.push({ index: i, text: `object ${i}`, list: [i, i + 1, i + 2] });
  }
  return kept.length;
}
