/**
 * One method as the gateway calls it: JSON in, JSON out, the same handler as over gRPC. Messages pass through their wire
 * form on the way, so that whatever codec the method has sees what it would have seen from the network.
 */
import type protobuf from 'protobufjs';
import { assert, present } from '../../env/assert.ts';
import { loadRoot, type ProtoDescriptor } from '../../proto/grpc-service.ts';
import { grpcStatus } from '../../rpc/grpc-status.ts';
import type { Codec, RpcMethod, StatusError } from '../../rpc/service.ts';
import { JsonMismatch, jsonFromMessage, messageFromJson, parseJson } from './json-messages.ts';

export interface Translation {
  readonly method: RpcMethod;
  /** Throws StatusError for what is no such message, or too large. */
  request(text: string): object;
  answer(answer: object): object;
}

/** `descriptors` hold the messages of the method between them. */
/**
 * Fields that come first in an answer's JSON. etcd's snapshot has no header, so scripts that cut the blob out of a line
 * look for it at its beginning; this store's own client wants the header.
 */
const leadingFields: Readonly<Record<string, string>> = { '/etcdserverpb.Maintenance/Snapshot': 'blob' };

export function translationOf(
  method: RpcMethod,
  descriptors: readonly ProtoDescriptor[],
  messageBytesMax: number,
): Translation {
  const { requestType, answerType } = typesOf(method.path, descriptors);
  const codec = method.codec as Codec<object, object>;
  return {
    method,
    request(text) {
      const bytes = requestType.encode(messageFrom(requestType, text) as Record<string, unknown>).finish();
      if (bytes.length > messageBytesMax) {
        const details = `grpc: received message larger than max (${bytes.length} vs. ${messageBytesMax})`;
        throw status(grpcStatus.resourceExhausted, details);
      }
      return codec.decode(bytes);
    },
    answer(answer) {
      const message = answerType.decode(codec.encode(answer)) as unknown as Readonly<Record<string, unknown>>;
      const json = jsonFromMessage(answerType, message);
      const leading = leadingFields[method.path];
      return leading === undefined || json[leading] === undefined ? json : { [leading]: json[leading], ...json };
    },
  };
}

export function status(code: number, details: string): StatusError {
  assert(code !== grpcStatus.ok, 'an error has a status of its own');
  return { code, details };
}

/** No body at all is the message with nothing in it. */
function messageFrom(type: protobuf.Type, text: string): Readonly<Record<string, unknown>> {
  try {
    return messageFromJson(type, text.trim() === '' ? {} : parseJson(text));
  } catch (error) {
    if (error instanceof JsonMismatch || error instanceof SyntaxError) {
      throw status(grpcStatus.invalidArgument, error.message);
    }
    throw error;
  }
}

function typesOf(path: string, descriptors: readonly ProtoDescriptor[]) {
  const [, serviceName = '', methodName = ''] = path.split('/');
  for (const descriptor of descriptors) {
    const service = loadRoot(descriptor).lookup(serviceName) as protobuf.Service | null;
    const method = service?.methods?.[methodName];
    if (!method) continue;
    method.resolve();
    return {
      requestType: present(method.resolvedRequestType, `request of ${path}`),
      answerType: present(method.resolvedResponseType, `answer of ${path}`),
    };
  }
  throw new TypeError(`no descriptor has ${path}`);
}
