import { cpus, loadavg } from 'node:os';
import { spread } from '../spent.mjs';
import { PEERS } from './peers.mjs';

const MB = 1_000_000;

/** Everything that was measured, as plain data. */
export function resultOf({ name, via, load, target, sent, cpuMs, settled, memory, disk, asked }) {
  const each = (value) => (value === undefined ? undefined : value / sent.profiles);
  const push = spread(sent.latencies);
  const bytes = disk.reduce((sum, [, size]) => sum + size, 0);
  return {
    load: name,
    title: `${load.title}, by ${via}`,
    date: new Date().toISOString(),
    machine: `${cpus().length} x ${cpus()[0]?.model.trim() ?? 'unknown'}, Node ${process.versions.node}`,
    loadAverage: loadavg()[0],
    target,
    profiles: sent.profiles,
    entries: sent.entries,
    payloadBytes: sent.bytes,
    resent: sent.resent,
    profilesPerSecond: (sent.profiles * 1_000) / sent.wallMs,
    cpuMsPerProfile: each(cpuMs),
    steady: steadyOf(sent.steady),
    everythingAbsorbed: settled,
    pushMs: { p50: push.median, p99: at(sent.latencies, 0.99) },
    memoryMb: memory && { peak: memory.peakBytes / MB, after: memory.nowBytes / MB },
    diskBytesPerEntry: bytes === 0 ? undefined : bytes / sent.entries,
    disk: Object.fromEntries(disk),
    queries: asked.map(({ name: question, runs, wall, cpuMs: cpu, bytes: size }) => ({
      question,
      runs,
      p50Ms: at(wall, 0.5),
      p90Ms: at(wall, 0.9),
      cpuMs: cpu,
      bytes: size,
    })),
  };
}

/** What streams cost once most of their rows were sent; without absorb that comes after them. */
function steadyOf(steady) {
  if (steady === undefined || !(steady.cpuMs > 0)) return undefined;
  const { profiles, entries, cpuMs, wallMs } = steady;
  return {
    profiles,
    cpuMsPerProfile: cpuMs / profiles,
    entriesPerCpuSecond: (entries * 1_000) / cpuMs,
    entriesPerSecond: (entries * 1_000) / wallMs,
  };
}

/** Rows of name and value, in the order of the report. */
function rowsOf(result) {
  const { memoryMb, disk, steady } = result;
  const rows = [
    ['profiles / entries', `${result.profiles} / ${result.entries}`],
    ['ingest, CPU a profile', ms(result.cpuMsPerProfile)],
    ['profiles a second', result.profilesPerSecond.toFixed(0)],
    ['push p50 / p99', `${ms(result.pushMs.p50)} / ${ms(result.pushMs.p99)}`],
    ['sent again', String(result.resent)],
    ['all absorbed', result.everythingAbsorbed ? 'yes' : 'not seen'],
  ];
  if (steady !== undefined) {
    rows.push(
      ['steady, CPU a profile', `${(steady.cpuMsPerProfile * 1_000).toFixed(0)} us`],
      ['steady, entries a CPU second', `${(steady.entriesPerCpuSecond / 1e6).toFixed(1)} M`],
      ['steady, entries a second', `${(steady.entriesPerSecond / 1e6).toFixed(1)} M`],
    );
  }
  if (memoryMb !== undefined) {
    rows.push([
      'RSS peak / after',
      `${memoryMb.peak.toFixed(0)} / ${memoryMb.after.toFixed(0)} MB`,
    ]);
  }
  for (const [folder, size] of Object.entries(disk)) {
    if (size < result.entries / 100) continue;
    rows.push([`files of ${folder}`, `${(size / result.entries).toFixed(2)} B an entry`]);
  }
  for (const { question, p50Ms, p90Ms, cpuMs } of result.queries) {
    rows.push([`${question}, p50 (p90) / CPU`, `${ms(p50Ms)} (${ms(p90Ms)}) / ${ms(cpuMs)}`]);
  }
  return rows;
}

/** The result for a terminal. */
export function asTable(result) {
  const rows = rowsOf(result);
  const width = Math.max(...rows.map(([name]) => name.length));
  return [
    `${result.title} | ${result.target} | ${result.machine} | load average ${result.loadAverage.toFixed(1)}`,
    ...rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`),
    '',
  ].join('\n');
}

/** The result as Markdown: own figures, then those of others with their dates. */
export function asMarkdown(result) {
  const own = [
    `${result.title}, ${result.date.slice(0, 10)}, ${result.machine}, load average ${result.loadAverage.toFixed(1)}.`,
    '',
    `| what | ${result.target} |`,
    '| --- | ---: |',
    ...rowsOf(result).map((row) => `| ${row.join(' | ')} |`),
    '',
  ];
  const peers = [
    'Others, measured on another day on another machine of 2 cores (see `bench/load/peers.mjs`):',
    '',
    '| what | Pyroscope, 2026-08-21 | Parca, 2026-07-27 |',
    '| --- | ---: | ---: |',
    ...PEERS[result.load].map((row) => `| ${row.join(' | ')} |`),
    '',
  ];
  return [...own, ...peers].join('\n');
}

function ms(value) {
  if (value === undefined) return '-';
  return `${value < 10 ? value.toFixed(2) : value.toFixed(0)} ms`;
}

function at(values, quantile) {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(quantile * sorted.length))];
}
