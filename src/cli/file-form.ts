/** Whether a file holds folded stacks; all others are pprof. */
export function isFoldedFile(name: string): boolean {
  return /\.(txt|folded|collapsed)(\.gz)?$/i.test(name);
}

/** Of this many bytes the first ones tell text from pprof, which has control characters among them. */
const LOOKED_AT = 512;

/** Whether `bytes` are folded stacks and no pprof, by what they hold. */
export function isFoldedText(bytes: Uint8Array): boolean {
  const isText = (byte: number): boolean =>
    byte >= 0x20 || byte === 0x09 || byte === 0x0d || byte === 0x0a;
  // gzip begins with 0x1f, pprof with 0x0a and then the length of a small message.
  return bytes[0] !== 0x0a && bytes.subarray(0, LOOKED_AT).every(isText);
}
