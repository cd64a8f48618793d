/**
 * The JSON gateway under `/v3/`: every method of the store by POST, for clients without gRPC. Streams answer one JSON
 * object a line, `{"result":…}`, and take any number of objects in the request's body.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { assert } from '../../env/assert.ts';
import type { ProtoDescriptor } from '../../proto/grpc-service.ts';
import { grpcStatus } from '../../rpc/grpc-status.ts';
import { readBody } from '../http/body.ts';
import type { PathHandler } from '../http/handler.ts';
import { messageOverheadBytes } from '../../rpc/rpc-server.ts';
import type { RpcMethod, StreamMethod, UnaryMethod } from '../../rpc/service.ts';
import type { KvServer } from '../server/contract.ts';
import { storeDescriptors } from './descriptors.ts';
import { sendAnswer, sendError, toStatusError } from './gateway-answers.ts';
import { GatewayCall } from './gateway-call.ts';
import { GatewayStream } from './gateway-stream.ts';
import { gatewayRoutes } from './routes.ts';
import { status, type Translation, translationOf } from './translation.ts';

export interface GatewayOptions {
  readonly methods: readonly RpcMethod[];
  readonly descriptors: readonly ProtoDescriptor[];
  /** Bytes of one message in its wire form. */
  readonly messageBytesMax: number;
}

/** The gateway over a member's methods. */
export function createStoreGateway(server: KvServer, methods: readonly RpcMethod[]): PathHandler {
  const messageBytesMax = server.limits.requestBytesMax + messageOverheadBytes;
  return createGateway({ methods, descriptors: storeDescriptors, messageBytesMax });
}

/** What base64 and names may add to a message. */
const jsonGrowth = 2;

export function createGateway(options: GatewayOptions): PathHandler {
  const byPath = new Map(options.methods.map((method) => [method.path, method]));
  const methodOf = new Map<string, RpcMethod>();
  for (const [route, path] of Object.entries(gatewayRoutes)) {
    const method = byPath.get(path);
    if (method) methodOf.set(route, method);
  }
  // Made when somebody first asks for the route: most members never see one.
  const translations = new Map<string, Translation>();
  const translationAt = (route: string): Translation | undefined => {
    const known = translations.get(route);
    if (known) return known;
    const method = methodOf.get(route);
    if (!method) return undefined;
    const made = translationOf(method, options.descriptors, options.messageBytesMax);
    translations.set(route, made);
    return made;
  };
  const bodyBytesMax = options.messageBytesMax * jsonGrowth;
  return async (request, response, url) => {
    const translation = translationAt(url.pathname);
    if (!translation) return sendError(response, status(grpcStatus.notFound, 'Not Found'));
    if (request.method !== 'POST') return sendError(response, status(grpcStatus.unimplemented, 'Method Not Allowed'));
    if (translation.method.kind === 'stream') {
      return new GatewayStream(translation, request, response, bodyBytesMax).run(translation.method as StreamMethod);
    }
    await callUnary(translation, request, response, bodyBytesMax);
  };
}

async function callUnary(
  translation: Translation,
  request: IncomingMessage,
  response: ServerResponse,
  bodyBytesMax: number,
): Promise<void> {
  assert(translation.method.kind === 'unary', 'streams have a way of their own');
  const method = translation.method as UnaryMethod;
  const call = new GatewayCall(request, response);
  try {
    const body = await readBody(request, bodyBytesMax);
    if (!body) throw status(grpcStatus.resourceExhausted, `the request's body is larger than ${bodyBytesMax} bytes`);
    const answer = await method.handle(translation.request(firstValue(body.toString())), call);
    sendAnswer(response, 200, translation.answer(answer));
  } catch (error) {
    sendError(response, toStatusError(error));
  }
}

/** What follows the first object is passed over, as from etcd. */
function firstValue(text: string): string {
  const trimmed = text.trimStart();
  if (!trimmed.startsWith('{')) return text;
  let depth = 0;
  let isText = false;
  for (let at = 0; at < trimmed.length; at++) {
    const char = trimmed[at];
    if (isText) {
      if (char === '\\') at += 1;
      else if (char === '"') isText = false;
    } else if (char === '"') isText = true;
    else if (char === '{' || char === '[') depth += 1;
    else if ((char === '}' || char === ']') && --depth === 0) return trimmed.slice(0, at + 1);
  }
  return text;
}
