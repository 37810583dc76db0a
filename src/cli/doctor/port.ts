import { createServer } from 'node:net';
import { isErrorLike } from '../../base/errors.ts';
import { formatAddress, type ListenAddress } from '../../config/values.ts';
import { bad, ok, type Finding } from './finding.ts';

/** A server that does not answer by then is none of ours, in ms. */
const ANSWER_MS = 2_000;

/** Whether the port is free, or a Tephra serves there already. */
export async function checkPort(address: ListenAddress): Promise<Finding> {
  const where = formatAddress(address);
  const code = await tryListen(address);
  if (code === undefined) return ok('port', `${where} is free`);
  if (code === 'EADDRINUSE') {
    if (await isTephra(address)) return ok('port', `a Tephra serves on ${where}`);
    return bad(
      'port',
      `${where} is taken by another program`,
      `end it, or listen elsewhere: tephra serve --listen ${formatAddress({ ...address, port: address.port + 1 })}`,
    );
  }
  if (code === 'EACCES') {
    return bad('port', `${where} is not for this user`, 'choose a port from 1024 on: --listen');
  }
  return bad('port', `${where}: ${code}`, 'choose an address that this machine has: --listen');
}

/** The code of what went wrong, undefined if nothing did. */
function tryListen({ host, port }: ListenAddress): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: unknown) => {
      resolve(isErrorLike(error) && typeof error.code === 'string' ? error.code : String(error));
    });
    server.listen({ host, port }, () => {
      server.close(() => resolve(undefined));
    });
  });
}

async function isTephra(address: ListenAddress): Promise<boolean> {
  // What listens everywhere answers on loopback.
  const host =
    address.host === '0.0.0.0' ? '127.0.0.1' : address.host === '::' ? '::1' : address.host;
  try {
    const url = `http://${formatAddress({ host, port: address.port })}/metrics`;
    const answer = await fetch(url, { signal: AbortSignal.timeout(ANSWER_MS) });
    return (await answer.text()).includes('tephra_');
  } catch {
    return false;
  }
}
