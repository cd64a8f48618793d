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
import type protobuf from 'protobufjs';
import { assert, present } from '../env/assert.ts';
import { openProtobuf, type ProtobufLibrary } from './protobuf-library.ts';

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
  const library = openProtobuf();
  const root = library.Root.fromJSON(descriptor as protobuf.INamespace);
  root.resolveAll();
  giveBytesDefaults(library, root);
  roots.set(descriptor, root);
  return root;
}

/** protobufjs's default for absent bytes is a plain array; everything here relies on Uint8Array. */
function giveBytesDefaults(library: ProtobufLibrary, namespace: protobuf.NamespaceBase): void {
  for (const nested of namespace.nestedArray) {
    if (nested instanceof library.Type) {
      const prototype = (nested.ctor as { prototype: Record<string, unknown> }).prototype;
      for (const field of nested.fieldsArray) {
        if (field.type !== 'bytes' || field.repeated || field.map) continue;
        if (Array.isArray(prototype[field.name])) prototype[field.name] = emptyBytes;
      }
    }
    if (nested instanceof library.Namespace) giveBytesDefaults(library, nested);
  }
}

/**
 * Encoder and decoder of one message type, e.g. `loadMessage<RangeRequest>(descriptor, 'etcdserverpb.RangeRequest')`.
 * Cheap: what it takes is made by the first message. A name that the descriptor has not throws then.
 */
export function loadMessage<T extends object>(descriptor: ProtoDescriptor, fullName: string): MessageCodec<T> {
  return lazyCodec<T>(() => loadRoot(descriptor).lookupType(fullName));
}

function lazyCodec<T extends object>(find: () => protobuf.Type): MessageCodec<T> {
  let found: protobuf.Type | undefined;
  const type = () => (found ??= find());
  return {
    get type() {
      return type();
    },
    encode: (value) => {
      const bytes = type()
        .encode(value as Record<string, unknown>)
        .finish();
      // Node's writer already returns a Buffer; the view keeps the promise when it ever does not.
      return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    },
    decode: (bytes) => type().decode(bytes) as unknown as T,
  };
}

/** What a descriptor says of a method, as plain JSON. */
interface DescribedMethod {
  readonly requestStream?: boolean;
  readonly responseStream?: boolean;
}

interface DescribedNamespace {
  readonly nested?: Readonly<Record<string, DescribedNamespace>>;
  readonly methods?: Readonly<Record<string, DescribedMethod>>;
}

/**
 * The grpc-js definition of `fullName` ('package.Service'). Works for `server.addService` and, through
 * `grpc.makeGenericClientConstructor`, for clients, whose methods then have their lowerCamelCase names too. The methods
 * are read off the JSON; protobufjs and the types come with the first message that needs them.
 */
export function loadService(descriptor: ProtoDescriptor, fullName: string): grpc.ServiceDefinition {
  const definition: Record<string, grpc.MethodDefinition<object, object>> = {};
  for (const [methodName, method] of Object.entries(methodsOf(descriptor, fullName))) {
    const resolved = () => {
      const found = present(loadRoot(descriptor).lookupService(fullName).methods[methodName], methodName);
      found.resolve();
      return found;
    };
    const request = lazyCodec<object>(() => present(resolved().resolvedRequestType, `request type of ${methodName}`));
    const response = lazyCodec<object>(() =>
      present(resolved().resolvedResponseType, `response type of ${methodName}`),
    );
    definition[methodName] = {
      path: `/${fullName}/${methodName}`,
      requestStream: method.requestStream === true,
      responseStream: method.responseStream === true,
      requestSerialize: request.encode,
      requestDeserialize: request.decode,
      responseSerialize: response.encode,
      responseDeserialize: response.decode,
      originalName: methodName.charAt(0).toLowerCase() + methodName.slice(1),
    };
  }
  assert(Object.keys(definition).length > 0, () => `service ${fullName} has methods`);
  return definition;
}

function methodsOf(descriptor: ProtoDescriptor, fullName: string): Readonly<Record<string, DescribedMethod>> {
  let at: DescribedNamespace | undefined = descriptor as DescribedNamespace;
  for (const name of fullName.split('.')) at = at?.nested?.[name];
  return present(at?.methods, `service ${fullName}`);
}
