/**
 * Spans of the real OpenTelemetry SDK in a real program: samples carry the span that was active, and a
 * server finds by the id of a span just what ran in it. Which versions of Node do so by default, and
 * what is said where they do not.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { NO_SPANS } from '../../src/agent/agent.ts';
import {
  cleanEnvironment,
  Servers,
  tell,
  type ServerProcess,
} from '../end-to-end/server-process.ts';

jest.setTimeout(120_000);
const servers = new Servers();
let server: ServerProcess;
beforeAll(async () => {
  server = await servers.start('data');
});
afterAll(() => servers.end());

interface SpanIds {
  readonly spanId: string;
  readonly traceId: string;
}

interface Result {
  readonly first: SpanIds;
  readonly second: SpanIds;
  readonly isStored: boolean;
  readonly lines: readonly string[];
  readonly answer: number;
}

async function runProgram(
  service: string,
  spans: string,
  execArgv: readonly string[],
): Promise<Result> {
  const file = join(import.meta.dirname, 'programs', 'spans.mjs');
  const program = fork(file, [server.url, service, spans], {
    env: cleanEnvironment(),
    execArgv: [...execArgv],
  });
  try {
    const [result] = (await once(program, 'message')) as [Result];
    return result;
  } finally {
    program.kill();
  }
}

const FUNCTIONS = ['computeInFirst', 'computeInSecond', 'computeOutside'];

/** Samples of {@link FUNCTIONS}, in that order: all, or those of a span. */
async function samplesOf(service: string, spanId?: string): Promise<readonly number[]> {
  const question = {
    profileTypeID: 'wall:samples:count:wall:nanoseconds',
    labelSelector: `{service_name="${service}"}`,
    start: BigInt(Date.now() - 3_600_000),
    end: BigInt(Date.now() + 60_000),
  };
  const { flamegraph } =
    spanId === undefined
      ? await server.querier.selectMergeStacktraces(question)
      : await server.querier.selectMergeSpanProfile({ ...question, spanSelector: [spanId] });
  const totals = new Map<string, number>();
  for (const { values } of flamegraph?.levels ?? []) {
    for (let at = 0; at < values.length; at += 4) {
      const name = flamegraph?.names[Number(values[at + 3])] ?? '';
      totals.set(name, (totals.get(name) ?? 0) + Number(values[at + 1]));
    }
  }
  return FUNCTIONS.map((name) => totals.get(name) ?? 0);
}

const [major = 0] = process.versions.node.split('.').map(Number);
const isDefault = major >= 24;
const cases = [
  { title: 'by default', spans: 'default', flags: [], found: isDefault },
  ...(isDefault
    ? [
        {
          title: 'asked for, without AsyncContextFrame',
          spans: 'true',
          flags: ['--no-async-context-frame'],
          found: true,
        },
      ]
    : [{ title: 'asked for', spans: 'true', flags: [], found: true }]),
  ...(major === 22
    ? [
        {
          title: 'by default, with AsyncContextFrame',
          spans: 'default',
          flags: ['--experimental-async-context-frame'],
          found: true,
        },
      ]
    : []),
];

describe('spans of OpenTelemetry', () => {
  test.each(cases)(
    `on Node ${process.versions.node}, $title: found $found`,
    async ({ title, spans, flags, found }) => {
      const { first, second, isStored, lines, answer } = await runProgram(title, spans, flags);
      expect([isStored, answer]).toEqual([true, 42]);
      expect(lines).toEqual(found ? [] : [NO_SPANS]);
      const all = await samplesOf(title);
      const bySpan = await Promise.all(
        [first, second].map(({ spanId }) => samplesOf(title, spanId)),
      );
      tell(`samples of ${FUNCTIONS.join(', ')}: ${all.join(', ')}; by span ${bySpan.join(' | ')}`);
      expect(Math.min(...all)).toBeGreaterThan(3);
      expect(bySpan).toEqual([
        [found ? all[0] : 0, 0, 0],
        [0, found ? all[1] : 0, 0],
      ]);
    },
  );
});
