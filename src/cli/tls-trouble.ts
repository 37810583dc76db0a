import { isErrorLike } from '../base/errors.ts';

/** Causes that are looked through: Connect and the client wrap the system's error. */
const CAUSES_MAX = 6;

/** What is wrong with TLS between here and `server`, with what to do about it; undefined if it is not that. */
export function tlsTrouble(server: string, thrown: unknown): string | undefined {
  const isTls = server.startsWith('https:');
  let at = thrown;
  for (let i = 0; i < CAUSES_MAX && isErrorLike(at); i++) {
    const code = typeof at.code === 'string' ? at.code : '';
    if (/CERT|UNABLE_TO_VERIFY|SIGNATURE/.test(code)) {
      return (
        `the certificate of ${server} is not trusted: ${at.message}\n` +
        '  NODE_EXTRA_CA_CERTS=FILE names the certificate that signed it, or itself'
      );
    }
    if (isTls && (code === 'EPROTO' || code.startsWith('ERR_SSL'))) {
      return `${server} speaks no TLS\n  name it by http://`;
    }
    if (!isTls && code === 'ECONNRESET') {
      return `${server} ended the connection\n  if it speaks TLS, name it by https://`;
    }
    at = 'cause' in at ? at.cause : undefined;
  }
  return undefined;
}
