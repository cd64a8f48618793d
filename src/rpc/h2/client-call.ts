/**
 * One gRPC call of a client, with any number of messages either way. The caller is told of the end exactly once, whatever
 * it is; after its own `cancel` it is told nothing.
 */
import { assert } from '../../env/assert.ts';
import { grpcStatus } from '../grpc-status.ts';
import type { ClientConnection, ResponseHandler } from './client-connection.ts';
import { errorCode } from './frames.ts';
import { isGrpc, statusOfHttp, statusOfReset, decodeStatusText } from './grpc-wire.ts';
import type { Field } from './hpack/field.ts';
import { MessageError, MessageReader } from './message-reader.ts';
import type { FieldPair, Stream } from './stream.ts';

/** Fields by name, which is in lower case; of several with one name the first. */
export type Metadata = ReadonlyMap<string, string>;

export interface CallEnd {
  /** Of grpcStatus. */
  readonly code: number;
  readonly details: string;
  /** What the server sent along with the end. */
  readonly metadata: Metadata;
}

export interface CallHandler {
  /** The server has accepted the call; not told when it answers with a status alone. */
  begun(metadata: Metadata): void;
  message(bytes: Buffer): void;
  /** There is room again after `write` said that there is none. */
  drained(): void;
  ended(end: CallEnd): void;
}

export interface CallOptions {
  /** `/package.Service/Method`. */
  readonly path: string;
  readonly scheme: 'http' | 'https';
  readonly authority: string;
  readonly metadata: readonly FieldPair[];
  /** Of one message of the server. */
  readonly messageBytesMax: number;
}

const noMetadata: Metadata = new Map();

export class ClientCall implements ResponseHandler {
  readonly #handler: CallHandler;
  readonly #reader: MessageReader;
  readonly #stream: Stream;
  /** Why the connection ended, for who is cut off by it. */
  readonly #lostReason: () => string;
  #state: 'asked' | 'begun' | 'over' = 'asked';
  #trailers: Metadata | undefined;

  constructor(connection: ClientConnection, options: CallOptions, handler: CallHandler, lostReason: () => string) {
    this.#handler = handler;
    this.#lostReason = lostReason;
    this.#reader = new MessageReader(options.messageBytesMax, false);
    this.#stream = connection.open(
      [
        [':method', 'POST'],
        [':scheme', options.scheme],
        [':path', options.path],
        [':authority', options.authority],
        ['te', 'trailers'],
        ['content-type', 'application/grpc'],
        ...options.metadata,
      ],
      this,
    );
  }

  /** Bytes that were written and have not gone out. */
  get queuedBytes(): number {
    return this.#stream.queuedBytes;
  }

  /** False when it would be wise to wait for `drained`; the message, which must not change any more, is taken all the same. */
  write(message: Uint8Array): boolean {
    if (this.#state === 'over') return true;
    this.#stream.sendMessage(message);
    if (!this.#stream.isFull) return true;
    this.#stream.owner.awaitRoom(this.#stream);
    return false;
  }

  /** No more messages come from here. */
  end(): void {
    if (this.#state !== 'over') this.#stream.end();
  }

  cancel(): void {
    if (this.#state === 'over') return;
    this.#state = 'over';
    this.#stream.reset(errorCode.cancel);
  }

  // What the stream tells (ResponseHandler).

  fields(fields: readonly Field[], isEnd: boolean): void {
    if (this.#state === 'over') return;
    const metadata = metadataOf(fields);
    if (isEnd) {
      if (this.#state === 'asked' && !this.#isGrpcAnswer(metadata)) return;
      this.#trailers = metadata;
      return;
    }
    const status = metadata.get(':status') ?? '';
    // Says that the answer is being worked on.
    if (/^1\d\d$/.test(status) && this.#state === 'asked') return;
    if (this.#state === 'begun') return this.#break(grpcStatus.internal, 'the server sent a second head');
    if (!this.#isGrpcAnswer(metadata)) return;
    this.#state = 'begun';
    this.#handler.begun(metadata);
  }

  data(bytes: Buffer, start: number, end: number): void {
    this.#stream.consumed(end - start);
    if (this.#state === 'over') return;
    if (this.#state === 'asked') return this.#break(grpcStatus.internal, 'the server sent a message before its head');
    try {
      this.#reader.push(bytes, start, end);
      for (let message = this.#reader.next(); message !== undefined; message = this.#reader.next()) {
        this.#handler.message(message);
        // The handler may have cancelled.
        if (this.#isOver()) return;
      }
    } catch (error) {
      if (!(error instanceof MessageError)) throw error;
      this.#break(error.status.code, error.status.details);
    }
  }

  ended(): void {
    if (this.#state === 'over') return;
    const metadata = this.#trailers ?? noMetadata;
    const code = metadata.get('grpc-status');
    if (code === undefined) this.#end(grpcStatus.unknown, 'the server ended the call without a status', metadata);
    else if (!/^\d{1,4}$/.test(code))
      this.#end(grpcStatus.unknown, `the server ended the call with a status that is none`);
    else this.#end(Number(code), decodeStatusText(metadata.get('grpc-message') ?? ''), metadata);
  }

  gone(code: number): void {
    if (this.#state === 'over') return;
    const lost = this.#lostReason();
    if (lost !== '') this.#end(grpcStatus.unavailable, lost);
    else this.#end(statusOfReset(code), `the server has reset the call (HTTP/2 error ${code})`);
  }

  drained(): void {
    if (this.#state !== 'over') this.#handler.drained();
  }

  #isOver(): boolean {
    return this.#state === 'over';
  }

  /** Ends the call when a head is not gRPC's. */
  #isGrpcAnswer(metadata: Metadata): boolean {
    const status = metadata.get(':status') ?? '';
    const contentType = metadata.get('content-type');
    if (status === '200' && isGrpc(contentType)) return true;
    const details = `the server does not answer as gRPC: status ${status}, content type ${JSON.stringify(contentType ?? '')}`;
    this.#break(statusOfHttp(status), details);
    return false;
  }

  #break(code: number, details: string): void {
    this.#end(code, details);
    this.#stream.reset(errorCode.cancel);
  }

  #end(code: number, details: string, metadata: Metadata = noMetadata): void {
    assert(this.#state !== 'over', 'a call ends once');
    this.#state = 'over';
    this.#handler.ended({ code, details, metadata });
  }
}

function metadataOf(fields: readonly Field[]): Metadata {
  const metadata = new Map<string, string>();
  for (const { name, value } of fields) if (!metadata.has(name)) metadata.set(name, value);
  return metadata;
}
