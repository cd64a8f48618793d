/** The few ways in which the store answers plain HTTP. */
import type { ServerResponse } from 'node:http';

const textType = 'text/plain; charset=utf-8';

export function sendText(response: ServerResponse, status: number, body: string): void {
  send(response, status, textType, body);
}

export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  send(response, status, 'application/json', JSON.stringify(body));
}

/** `nosniff` keeps a browser from taking text for something else. */
export function send(response: ServerResponse, status: number, type: string, body: string | Uint8Array): void {
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    'x-content-type-options': 'nosniff',
  });
  response.end(body);
}

export function sendNotFound(response: ServerResponse): void {
  sendText(response, 404, '404 page not found\n');
}

/** False when the method is not one of `allowed`: then it has been answered. */
export function isMethodAllowed(
  request: { readonly method?: string | undefined },
  response: ServerResponse,
  allowed: readonly string[],
): boolean {
  if (allowed.includes(request.method ?? '')) return true;
  response.setHeader('allow', allowed.join(', '));
  sendText(response, 405, 'Method Not Allowed\n');
  return false;
}
