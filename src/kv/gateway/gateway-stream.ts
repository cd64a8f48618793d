/** One stream of the gateway: JSON objects in the request's body, one line of JSON for each answer. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { grpcStatus } from '../../rpc/grpc-status.ts';
import type { AnswerStream, RequestSink, StatusError, StreamMethod } from '../../rpc/service.ts';
import { sendError, toStatusError } from './gateway-answers.ts';
import { GatewayCall } from './gateway-call.ts';
import { httpStatusOf } from './http-status.ts';
import { JsonMismatch } from './json-messages.ts';
import { JsonValues } from './json-values.ts';
import type { Translation } from './translation.ts';

export class GatewayStream implements AnswerStream<object> {
  readonly call: GatewayCall;
  readonly #translation: Translation;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #values: JsonValues;
  #sink: RequestSink<object> | undefined;
  #takesMany = false;
  /** Objects that came while requests were held back: what one chunk of the body held. */
  #held: string[] = [];
  #isPaused = false;
  #hasRequest = false;
  #hasBodyEnded = false;
  #isOver = false;

  constructor(translation: Translation, request: IncomingMessage, response: ServerResponse, bytesMax: number) {
    this.#translation = translation;
    this.#request = request;
    this.#response = response;
    this.#values = new JsonValues(bytesMax);
    this.call = new GatewayCall(request, response);
  }

  run(method: StreamMethod): void {
    this.#response.on('drain', () => {
      if (!this.#isOver) this.#sink?.drained();
    });
    this.#response.once('close', () => {
      if (this.#isOver) return;
      this.#isOver = true;
      this.#sink?.gone();
    });
    this.#takesMany = method.isRequestStream;
    this.#sink = method.open(this);
    if (this.#isOver) return;
    this.#request.on('data', (chunk: Buffer) => this.#take(() => this.#values.push(chunk)));
    this.#request.once('end', () => {
      this.#hasBodyEnded = true;
      this.#take(() => {
        if (this.#values.isHalfway()) throw new JsonMismatch('unexpected end of JSON input');
        // A single request may be left out: then it is the one with nothing in it.
        return method.isRequestStream || this.#hasRequest ? [] : ['{}'];
      });
    });
  }

  write(answer: object): boolean {
    if (this.#isOver) return true;
    this.#begin();
    return this.#response.write(`${JSON.stringify({ result: this.#translation.answer(answer) })}\n`);
  }

  pause(): void {
    this.#isPaused = true;
    this.#request.pause();
  }

  resume(): void {
    this.#isPaused = false;
    if (!this.#isOver) this.#request.resume();
    this.#deliver();
  }

  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#begin();
    this.#response.end();
    this.#request.resume();
  }

  fail(status: StatusError): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#request.resume();
    if (!this.#response.headersSent) return sendError(this.#response, status);
    const error = { grpc_code: status.code, http_code: httpStatusOf(status.code), message: status.details };
    this.#response.end(`${JSON.stringify({ error })}\n`);
  }

  #begin(): void {
    if (this.#response.headersSent) return;
    this.#response.writeHead(200, { 'content-type': 'application/json', 'x-content-type-options': 'nosniff' });
  }

  /** A broken stream of requests ends the whole stream. */
  #take(read: () => readonly string[]): void {
    if (this.#isOver) return;
    try {
      this.#held.push(...read());
    } catch (error) {
      if (!(error instanceof JsonMismatch)) throw error;
      return this.#break({ code: grpcStatus.invalidArgument, details: error.message });
    }
    this.#deliver();
  }

  #deliver(): void {
    while (!this.#isPaused && !this.#isOver) {
      const text = this.#held.shift();
      if (text === undefined) {
        if (!this.#hasBodyEnded) return;
        this.#hasBodyEnded = false;
        return this.#sink?.ended();
      }
      // What follows the only request is passed over, as from etcd.
      if (this.#hasRequest && !this.#takesMany) continue;
      this.#hasRequest = true;
      let message: object;
      try {
        message = this.#translation.request(text);
      } catch (error) {
        return this.#break(toStatusError(error));
      }
      this.#sink?.request(message);
    }
  }

  #break(status: StatusError): void {
    this.fail(status);
    this.#sink?.gone();
  }
}
