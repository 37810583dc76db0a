/**
 * A busy HTTP server with the agent in it: `fork('busy-server.mjs', [TEPHRA_URL, SERVICE, BUFFER_BYTES])`. It asks itself
 * with short pauses, and tells how far the agent is, until the message `stop`; then the agent flushes, and the sums of all that was settled
 * are sent back, by profile type, with the agent's own counts.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { startAgent } from '../../../dist/agent/start.js';
import { profileTypeOf } from '../../../dist/client/stream/encode.js';
import { handleOrder } from '../../../examples/shop.mjs';

/** Two such programs would else take both cores of a small machine from what they are tested with. */
const PAUSE_MS = 5;

const [url, service, buffer] = process.argv.slice(2);
const bufferBytes = buffer === undefined ? undefined : Number(buffer);
const sums = new Map();
const onSettled = ({ parts, refused, families }) => {
  if (refused !== undefined) return;
  for (const part of parts) {
    const { types } = families[part.family];
    for (const [index, type] of types.entries()) {
      const column = part.columns[part.typeColumn?.[index] ?? index];
      const scale = BigInt(part.typeScale?.[index] || 1);
      const sum = Array.from(column).reduce((total, value) => total + BigInt(value), 0n) * scale;
      const id = profileTypeOf(type);
      sums.set(id, (sums.get(id) ?? 0n) + sum);
    }
  }
};
const log = {
  info: (text) => process.send({ log: text }),
  warn: (text) => process.send({ log: text }),
};
const intervals = { firstFlushMs: 300, flushMs: 500 };
const options = { url, service, labels: { region: 'eu' }, ...intervals, bufferBytes, log };
const agent = await startAgent(options, { onSettled });

const server = createServer((request, response) => {
  agent.withLabels({ endpoint: request.url }, () => {
    handleOrder(Number(request.headers['x-order']), request.url === '/slow');
    setImmediate(() => {
      handleOrder(7, request.url === '/slow');
      response.end('ok');
    });
  });
});
await once(server.listen(0, '127.0.0.1'), 'listening');
const { port } = server.address();

const work = { wanted: true };
process.on('message', () => {
  work.wanted = false;
});
process.on('disconnect', () => process.exit(1));
process.send({ state: 'busy' });
const telling = setInterval(() => process.send({ stats: agent.stats }), 100);
for (let order = 0; work.wanted; order++) {
  const path = order % 3 === 0 ? '/slow' : '/fast';
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
    headers: { 'x-order': `${order}` },
  });
  await answer.text();
  await sleep(PAUSE_MS);
}
clearInterval(telling);
const isStored = await agent.stop(10_000);
const told = Object.fromEntries([...sums].map(([type, sum]) => [type, String(sum)]));
process.send({ state: 'done', isStored, sums: told, stats: agent.stats });
process.disconnect();
server.close();
server.closeAllConnections();
