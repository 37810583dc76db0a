import { Agent, request } from 'node:http';

/**
 * A Connect client for unary calls, binary over HTTP/1.1: what most agents and Grafana speak. Not
 * `tephradb/client`: bodies are made before the clock starts, and answers are decoded after it has stopped.
 */
export class ConnectClient {
  #agent;
  #url;

  constructor(url, connections) {
    this.#url = new URL(url);
    this.#agent = new Agent({ keepAlive: true, maxSockets: connections });
  }

  /** The answer's bytes. Rejects with the body of an answer that is not 200. */
  call(method, body) {
    return new Promise((resolve, reject) => {
      const { hostname, port, pathname } = this.#url;
      const sent = request(
        {
          agent: this.#agent,
          host: hostname,
          port,
          path: `${pathname.replace(/\/$/, '')}/${method}`,
          method: 'POST',
          headers: {
            'content-type': 'application/proto',
            'content-length': body.byteLength,
            'connect-protocol-version': '1',
          },
        },
        (response) => {
          const chunks = [];
          response.on('data', (chunk) => chunks.push(chunk));
          response.on('error', reject);
          response.on('end', () => {
            const bytes = Buffer.concat(chunks);
            if (response.statusCode === 200) resolve(bytes);
            else reject(new Error(`${method}: ${response.statusCode} ${bytes.toString('utf8')}`));
          });
        },
      );
      sent.on('error', reject);
      sent.end(body);
    });
  }

  close() {
    this.#agent.destroy();
  }
}
