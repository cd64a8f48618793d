/** Answers of the gateway, and errors in etcd's JSON. */
import type { ServerResponse } from 'node:http';
import { errorText } from '../../env/errors.ts';
import { grpcStatus } from '../../rpc/grpc-status.ts';
import { send } from '../http/answers.ts';
import type { StatusError } from '../../rpc/service.ts';
import { httpStatusOf } from './http-status.ts';

export function toStatusError(error: unknown): StatusError {
  if (typeof error === 'object' && error !== null && 'code' in error && 'details' in error) {
    const { code, details } = error;
    if (typeof code === 'number' && typeof details === 'string') return { code, details };
  }
  return { code: grpcStatus.unknown, details: errorText(error) };
}

/** Also for a stream that fails before it has answered anything. */
export function sendError(response: ServerResponse, { code, details }: StatusError): void {
  sendAnswer(response, httpStatusOf(code), { error: details, message: details, code });
}

export function sendAnswer(response: ServerResponse, httpStatus: number, body: object): void {
  if (response.destroyed || response.writableEnded) return;
  send(response, httpStatus, 'application/json', JSON.stringify(body));
}
