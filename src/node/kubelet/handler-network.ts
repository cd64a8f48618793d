/**
 * The network as probes and lifecycle hooks need it: contract. From the node's network namespace straight to the pod.
 * Answers say what happened in words for events; nothing here rejects.
 */
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
