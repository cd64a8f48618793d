/**
 * The network calls of probes and lifecycle hooks (adapter): straight from the node's network namespace to the pod.
 * Answers say what happened in words for events; nothing here rejects.
 */
import * as grpc from '@grpc/grpc-js';
import * as http from 'node:http';
import * as https from 'node:https';
import * as net from 'node:net';
import descriptor from '../../../proto/gen/health.json' with { type: 'json' };
import { loadService } from '../../proto/grpc-service.ts';

export interface HandlerResult {
  readonly isSuccess: boolean;
  readonly message: string;
}

export interface HttpRequest {
  readonly scheme: 'HTTP' | 'HTTPS';
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly headers: readonly { readonly name: string; readonly value: string }[];
  readonly timeoutMs: number;
}

export interface HandlerNetwork {
  /** Success is a status from 200 to 399. */
  http(request: HttpRequest): Promise<HandlerResult>;
  /** Success is a connection. */
  tcp(host: string, port: number, timeoutMs: number): Promise<HandlerResult>;
  /** Success is SERVING from the standard health service. */
  grpc(host: string, port: number, service: string, timeoutMs: number): Promise<HandlerResult>;
}

// As upstream: what does not fit is not looked at.
const bodyBytesMax = 10 * 1024;

export const realHandlerNetwork: HandlerNetwork = {
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
  grpc(host, port, service, timeoutMs) {
    const name = 'grpc.health.v1.Health';
    const Client = grpc.makeGenericClientConstructor(loadService(descriptor, name), name);
    const client = new Client(`${host}:${port}`, grpc.credentials.createInsecure());
    return new Promise((resolve) => {
      const call = (client as unknown as Record<string, HealthCheck>).Check as HealthCheck;
      // The deadline of grpc-js is an absolute time; Infinity with a signal would leave the timer to us as well.
      const deadline = new Date(performance.timeOrigin + performance.now() + timeoutMs);
      call.call(client, { service }, { deadline }, (error, answer) => {
        client.close();
        if (error !== null) resolve({ isSuccess: false, message: `service unhealthy: ${error.details}` });
        else if (answer?.status === 1) resolve({ isSuccess: true, message: '' });
        else resolve({ isSuccess: false, message: `service unhealthy (responded with ${answer?.status})` });
      });
    });
  },
};

type HealthCheck = (
  request: { service: string },
  options: { deadline: Date },
  done: (error: grpc.ServiceError | null, answer?: { status: number }) => void,
) => void;

const timedOut = 'context deadline exceeded (Client.Timeout exceeded while awaiting headers)';
