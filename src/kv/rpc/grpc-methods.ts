/** Methods as @grpc/grpc-js wants them: handlers on its calls, and its definitions. */
import type * as grpc from '@grpc/grpc-js';
import { errorText } from '../../env/errors.ts';
import { grpcStatus } from '../../rpc/grpc-status.ts';
import {
  type AnswerStream,
  type Call,
  clientGone,
  type RpcMethod,
  type StatusError,
  type StreamMethod,
  type UnaryMethod,
} from '../../rpc/service.ts';

type AnyCall = grpc.ServerUnaryCall<object, object> | GrpcStream;
/** Both kinds of answering streams; only a duplex one delivers requests. */
type GrpcStream = grpc.ServerDuplexStream<object, object> & { readonly request?: object };

/** Adds every method to `server`. */
export function addMethods(server: grpc.Server, methods: readonly RpcMethod[]): void {
  for (const method of methods) {
    const definition = {
      path: method.path,
      requestStream: method.kind === 'stream' && method.isRequestStream,
      responseStream: method.kind === 'stream',
      requestSerialize: () => Buffer.alloc(0),
      requestDeserialize: (bytes: Buffer) => method.codec.decode(bytes),
      responseSerialize: (answer: object) => asBuffer(method.codec.encode(answer)),
      responseDeserialize: () => ({}),
    };
    const handler = method.kind === 'unary' ? unaryHandler(method) : streamHandler(method);
    server.addService({ [method.path]: definition }, { [method.path]: handler as grpc.UntypedHandleCall });
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function unaryHandler(method: UnaryMethod): grpc.handleUnaryCall<object, object> {
  return (call, callback) => {
    let isFinished = false;
    const context = new GrpcCall(call);
    call.on('cancelled', () => {
      if (!isFinished) context.abort();
    });
    method.handle(call.request, context).then(
      (answer) => {
        isFinished = true;
        callback(null, answer);
      },
      (error: unknown) => {
        isFinished = true;
        const { code, details } = statusOf(error);
        callback({ code, details });
      },
    );
  };
}

function streamHandler(method: StreamMethod) {
  return (call: GrpcStream) => {
    let isOver = false;
    const context = new GrpcCall(call);
    const answers: AnswerStream<object> = {
      call: context,
      write: (answer) => call.write(answer),
      pause: () => call.pause(),
      resume: () => call.resume(),
      end: () => {
        isOver = true;
        call.end();
      },
      fail: (status) => {
        isOver = true;
        call.emit('error', status);
      },
    };
    const sink = method.open(answers);
    const gone = () => {
      if (isOver) return;
      isOver = true;
      context.abort();
      sink.gone();
    };
    call.on('cancelled', gone);
    call.on('error', gone);
    call.on('drain', () => {
      if (!isOver) sink.drained();
    });
    if (method.isRequestStream) {
      call.on('data', (request: object) => {
        if (!isOver) sink.request(request);
      });
      call.on('end', () => {
        if (!isOver) sink.ended();
      });
    } else if (!isOver && call.request) {
      sink.request(call.request);
      sink.ended();
    }
  };
}

function statusOf(error: unknown): StatusError {
  if (typeof error === 'object' && error !== null && 'code' in error && 'details' in error) return error as StatusError;
  return { code: grpcStatus.unknown, details: errorText(error) };
}

class GrpcCall implements Call {
  readonly #call: AnyCall;
  #controller: AbortController | undefined;
  #isAborted = false;

  constructor(call: AnyCall) {
    this.#call = call;
  }

  metadata(name: string): readonly string[] {
    return this.#call.metadata.get(name).map(String);
  }

  get clientCommonName(): string | undefined {
    const name = this.#call.getAuthContext().sslPeerCertificate?.subject.CN;
    return Array.isArray(name) ? name[0] : name;
  }

  get peer(): string {
    return this.#call.getPeer();
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#isAborted) this.#controller.abort(clientGone);
    return this.#controller.signal;
  }

  abort(): void {
    this.#isAborted = true;
    this.#controller?.abort(clientGone);
  }
}
