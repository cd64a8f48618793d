/** The service proxy's two plain HTTP ports (adapter): metrics, and the health that load balancers ask. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { errorText, KeelsonError } from '../../env/errors.ts';

export interface PlainAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

export interface PlainServer {
  readonly port: number;
  close(): Promise<void>;
}

/** Resolves when it listens; rejects with KeelsonError LISTEN_FAILED. */
export function startPlainServer(
  address: string,
  port: number,
  answer: (path: string) => Promise<PlainAnswer | undefined>,
): Promise<PlainServer> {
  const server = createServer({ requestTimeout: 10_000, headersTimeout: 10_000 }, (request, response) => {
    answer(new URL(request.url ?? '/', 'http://node').pathname).then(
      (result) => {
        response.writeHead(result?.status ?? 404, { 'content-type': result?.contentType ?? 'text/plain' });
        response.end(result?.body ?? '404 page not found\n');
      },
      (error) => {
        response.writeHead(500, { 'content-type': 'text/plain' });
        response.end(`${errorText(error)}\n`);
      },
    );
  });
  server.maxConnections = 64;
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      const text = `cannot listen on ${address}:${port}: ${errorText(error)}; choose another port, or stop what listens there`;
      reject(new KeelsonError('LISTEN_FAILED', text, { cause: error }));
    });
    server.listen(port, address, () => {
      resolve({
        port: (server.address() as AddressInfo).port,
        close: () =>
          new Promise((done) => {
            server.close(() => done());
            server.closeAllConnections();
          }),
      });
    });
  });
}
