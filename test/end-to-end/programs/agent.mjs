/**
 * A busy program under `@pyroscope/nodejs`: `fork('agent.mjs', [SERVER_URL, APP_NAME])`. It works and
 * is profiled from the message `start` to the message `stop`, and answers when the agent is done
 * sending. Every body that the agent sends is reported with the status that it got, 0 for none.
 */
import pyroscope from '@pyroscope/nodejs';
import { hashForAWhile, keepObjects } from './work.mjs';

const [serverAddress, appName] = process.argv.slice(2);
const send = globalThis.fetch;

globalThis.fetch = async (url, init) => {
  const sent = { body: Buffer.from(init.body).toString('base64'), status: 0 };
  try {
    const response = await send(url, init);
    sent.status = response.status;
    return response;
  } finally {
    process.send({ sent });
  }
};

pyroscope.init({
  serverAddress,
  appName,
  flushIntervalMs: 300,
  tags: { region: 'eu' },
  wall: { collectCpuTime: true, samplingIntervalMicros: 5_000 },
  heap: { samplingIntervalBytes: 4096 },
});

const work = { wanted: false };
process.on('message', (message) => {
  work.wanted = message !== 'stop';
  if (work.wanted) void beBusy();
});
process.on('disconnect', () => process.exit(0));
process.send({ state: 'ready' });

async function beBusy() {
  process.send({ state: 'busy' });
  pyroscope.start();
  while (work.wanted) {
    hashForAWhile(20);
    keepObjects(500);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await pyroscope.stop();
  process.send({ state: 'done' });
}
