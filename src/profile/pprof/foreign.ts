/** How the text forms of before protobuf begin. Source: google/pprof, profile/legacy_profile.go. */
const TEXTS = [
  'heap profile:',
  'goroutine profile:',
  'threadcreate profile:',
  '--- heapz',
  '--- heap',
  '--- contentionz',
  '--- contention',
  '--- mutex',
  '--- growthz',
  '--- threadz',
  '--- symbol',
  '--- profile',
  '--- Memory map',
];

/** How files of other profilers begin. Sources: the JMC project, Linux' perf.data-file-format.txt. */
const MAGICS = [
  ['FLR\0', 'JFR'],
  ['PERFILE2', 'perf.data'],
  ['{', 'JSON'],
] as const;

/** What bytes are that are no pprof and that people send as one; undefined if that is not known. */
export function foreignFormat(bytes: Uint8Array): string | undefined {
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.byteLength, 64)).toString(
    'latin1',
  );
  // Text, or the binary CPU form of gperftools.
  if (TEXTS.some((text) => head.startsWith(text)) || isBinaryCpu(bytes)) return 'legacy pprof';
  return MAGICS.find(([magic]) => head.startsWith(magic))?.[1];
}

/** The header of the binary form is the words 0, 3, 0, period, 0: 4 or 8 bytes, either endian. */
function isBinaryCpu(bytes: Uint8Array): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (const wordBytes of [4, 8]) {
    if (bytes.byteLength < 5 * wordBytes) continue;
    for (const littleEndian of [true, false]) {
      const word = (index: number): number =>
        wordBytes === 4
          ? view.getUint32(index * 4, littleEndian)
          : Number(view.getBigUint64(index * 8, littleEndian));
      if (word(0) === 0 && word(1) === 3 && word(2) === 0 && word(4) === 0) return true;
    }
  }
  return false;
}
