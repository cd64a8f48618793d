/** The service proxy's two plain HTTP ports (adapter): metrics, and the health that load balancers ask. */
import { createServer } from 'node:http';
import { type ListeningServer, listenOn } from '../../control/client/index.ts';
import { errorText } from '../../env/errors.ts';

export interface PlainAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

/** Resolves when it listens; rejects with KeelsonError LISTEN_FAILED. */
export function startPlainServer(
  address: string,
  port: number,
  answer: (path: string) => Promise<PlainAnswer | undefined>,
): Promise<ListeningServer> {
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
  return listenOn(server, { address, port, hint: 'choose another port' });
}
