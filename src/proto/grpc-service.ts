/**
 * gRPC services and message codecs out of protobufjs descriptors (proto/gen/*.json, made by scripts/proto.ts).
 *
 * Promises: message values are plain objects with camelCase fields. Encoding takes them as they are (enums as numbers,
 * bytes as Uint8Array, 64-bit fields as Long, safe number, bigint or decimal string; see int64.ts). Decoding gives
 * every scalar field a value (proto3 defaults come from the prototype; empty bytes are an empty Uint8Array, 64-bit
 * fields are Long) and null for an absent message or `optional` field; `oneof` members that are not set are null or
 * their default, so ask `Object.hasOwn(message, field)` when a default and an absent member must be told apart.
 *
 * The caller owes: bytes fields are views into the received buffer. What outlives the request must be copied, or it
 * pins the whole buffer.
 */
import type * as grpc from '@grpc/grpc-js';
import protobuf from 'protobufjs';
import { assert, present } from '../env/assert.ts';
import './int64.ts';

/** A parsed proto/gen/<name>.json. */
export type ProtoDescriptor = object;

export interface MessageCodec<T extends object> {
  encode(value: T): Buffer;
  decode(bytes: Uint8Array): T;
  /** Field names in the proto's own spelling by their camelCase name, for JSON faces. */
  readonly type: protobuf.Type;
}

const emptyBytes: Uint8Array = new Uint8Array(0);
/** A descriptor is parsed once per process; the objects come from JSON imports, which are singletons. */
const roots = new WeakMap<ProtoDescriptor, protobuf.Root>();

/** The reflection root of a descriptor, resolved; the same object for the same descriptor. */
export function loadRoot(descriptor: ProtoDescriptor): protobuf.Root {
  const known = roots.get(descriptor);
  if (known) return known;
  const root = protobuf.Root.fromJSON(descriptor as protobuf.INamespace);
  root.resolveAll();
  giveBytesDefaults(root);
  roots.set(descriptor, root);
  return root;
}

/** protobufjs's default for absent bytes is a plain array; everything here relies on Uint8Array. */
function giveBytesDefaults(namespace: protobuf.NamespaceBase): void {
  for (const nested of namespace.nestedArray) {
    if (nested instanceof protobuf.Type) {
      const prototype = (nested.ctor as { prototype: Record<string, unknown> }).prototype;
      for (const field of nested.fieldsArray) {
        if (field.type !== 'bytes' || field.repeated || field.map) continue;
        if (Array.isArray(prototype[field.name])) prototype[field.name] = emptyBytes;
      }
    }
    if (nested instanceof protobuf.Namespace) giveBytesDefaults(nested);
  }
}

/** Encoder and decoder of one message type, e.g. `loadMessage<RangeRequest>(descriptor, 'etcdserverpb.RangeRequest')`. */
export function loadMessage<T extends object>(descriptor: ProtoDescriptor, fullName: string): MessageCodec<T> {
  return codecOf<T>(loadRoot(descriptor).lookupType(fullName));
}

function codecOf<T extends object>(type: protobuf.Type): MessageCodec<T> {
  return {
    type,
    encode: (value) => {
      const bytes = type.encode(value as Record<string, unknown>).finish();
      // Node's writer already returns a Buffer; the view keeps the promise when it ever does not.
      return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    },
    decode: (bytes) => type.decode(bytes) as unknown as T,
  };
}

/**
 * The grpc-js definition of `fullName` ('package.Service'). Works for `server.addService` and, through
 * `grpc.makeGenericClientConstructor`, for clients, whose methods then have their lowerCamelCase names too.
 */
export function loadService(descriptor: ProtoDescriptor, fullName: string): grpc.ServiceDefinition {
  const service = loadRoot(descriptor).lookupService(fullName);
  const name = service.fullName.replace(/^\./, '');
  const definition: Record<string, grpc.MethodDefinition<object, object>> = {};
  for (const method of service.methodsArray) {
    method.resolve();
    const request = codecOf<object>(present(method.resolvedRequestType, `request type of ${name}/${method.name}`));
    const response = codecOf<object>(present(method.resolvedResponseType, `response type of ${name}/${method.name}`));
    definition[method.name] = {
      path: `/${name}/${method.name}`,
      requestStream: method.requestStream === true,
      responseStream: method.responseStream === true,
      requestSerialize: request.encode,
      requestDeserialize: request.decode,
      responseSerialize: response.encode,
      responseDeserialize: response.decode,
      originalName: method.name.charAt(0).toLowerCase() + method.name.slice(1),
    };
  }
  assert(Object.keys(definition).length > 0, () => `service ${name} has methods`);
  return definition;
}
