/** HandlerNetwork over real sockets (adapter). */
import * as http from 'node:http';
import * as https from 'node:https';
import * as net from 'node:net';
import type { Clock } from '../../env/clock.ts';
import { checkGrpcHealth } from './grpc-health-adapter.ts';
import type { HandlerNetwork } from './handler-network.ts';

// As upstream: what does not fit is not looked at.
const bodyBytesMax = 10 * 1024;

export const createHandlerNetwork = (clock: Clock): HandlerNetwork => ({
  http(request) {
    const { scheme, host, port, timeoutMs } = request;
    const headers: Record<string, string> = { 'User-Agent': 'kube-probe/1.34', Accept: '*/*', Connection: 'close' };
    for (const { name, value } of request.headers) headers[name] = value;
    const url = `${scheme.toLowerCase()}://${host.includes(':') ? `[${host}]` : host}:${port}${request.path}`;
    return new Promise((resolve) => {
      const fail = (text: string) => resolve({ isSuccess: false, message: `Get "${url}": ${text}` });
      const send = scheme === 'HTTPS' ? https.request : http.request;
      const call = send({
        host,
        port,
        path: request.path.startsWith('/') ? request.path : `/${request.path}`,
        headers,
        agent: false,
        signal: AbortSignal.timeout(timeoutMs),
        // The kubelet's contract: a probe over HTTPS does not check the certificate.
        ...(scheme === 'HTTPS' ? { rejectUnauthorized: false } : {}),
      });
      call.on('error', (error) => {
        fail(error.name === 'AbortError' || error.name === 'TimeoutError' ? timedOut : error.message);
      });
      call.on('response', (response) => {
        const status = response.statusCode ?? 0;
        const chunks: Buffer[] = [];
        let length = 0;
        const finish = () => {
          response.destroy();
          const isSuccess = status >= 200 && status < 400;
          const body = Buffer.concat(chunks).subarray(0, bodyBytesMax).toString();
          resolve({ isSuccess, message: isSuccess ? body : `HTTP probe failed with statuscode: ${status}` });
        };
        response.on('data', (chunk: Buffer) => {
          chunks.push(chunk);
          length += chunk.length;
          if (length >= bodyBytesMax) finish();
        });
        response.on('end', finish);
        response.on('error', (error) => fail(error.message));
      });
      call.end();
    });
  },
  tcp(host, port, timeoutMs) {
    return new Promise((resolve) => {
      const socket = net.connect({ host, port, timeout: timeoutMs });
      const finish = (isSuccess: boolean, message: string) => {
        socket.destroy();
        resolve({ isSuccess, message });
      };
      socket.on('connect', () => finish(true, ''));
      socket.on('timeout', () => finish(false, `dial tcp ${host}:${port}: i/o timeout`));
      socket.on('error', (error) => finish(false, `dial tcp ${host}:${port}: ${error.message}`));
    });
  },
  grpc: (host, port, service, timeoutMs) => checkGrpcHealth(host, port, service, clock.wallMs() + timeoutMs),
});

const timedOut = 'context deadline exceeded (Client.Timeout exceeded while awaiting headers)';
