/**
 * Kubernetes kinds as data: contract. One schema per kind drives JSON field order and omission, protobuf bodies,
 * OpenAPI v2 and v3, defaults, validation, merge keys and table columns. Everything in this folder is pure.
 *
 * Objects in memory are plain JSON values as a client would send them. int64 fields are numbers only while they are
 * safe integers; resourceVersion is always a string.
 */

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
// Objects are built and changed field by field all over the control plane, so the working type is a mutable one.
// biome-ignore lint: the shape of an arbitrary object is known only to its schema
export type JsonObject = { [key: string]: any };

export interface ObjectMeta {
  name: string;
  generateName?: string;
  namespace?: string;
  uid: string;
  resourceVersion: string;
  generation?: number;
  creationTimestamp: string;
  deletionTimestamp?: string;
  deletionGracePeriodSeconds?: number;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  ownerReferences?: OwnerReference[];
  finalizers?: string[];
  managedFields?: JsonObject[];
}

export interface OwnerReference {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller?: boolean;
  blockOwnerDeletion?: boolean;
}

export interface KubeObject extends JsonObject {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
}

export interface GroupVersionResource {
  /** '' for the core group. */
  readonly group: string;
  readonly version: string;
  readonly resource: string;
}

/** `message` names a MessageSchema; `map` is always keyed by string. */
export type FieldType =
  | { readonly kind: 'string' | 'bool' | 'int32' | 'int64' | 'double' | 'bytes' }
  /** RFC 3339 with seconds / with microseconds; both are {seconds, nanos} in protobuf. */
  | { readonly kind: 'time' | 'microTime' }
  | { readonly kind: 'quantity' | 'intOrString' | 'duration' }
  /** A list of strings that protobuf wraps in a message of its own (upstream's ExtraValue), so that it can be a map value. */
  | { readonly kind: 'stringList' }
  /** Arbitrary JSON (RawExtension, FieldsV1, JSON). */
  | { readonly kind: 'json' }
  | { readonly kind: 'message'; readonly message: string }
  | { readonly kind: 'map'; readonly value: FieldType }
  | { readonly kind: 'list'; readonly item: FieldType };

export interface FieldSchema {
  /** JSON name. */
  readonly name: string;
  /** Protobuf field number; 0 when the field is not in the protobuf form. */
  readonly number: number;
  readonly type: FieldType;
  readonly required?: boolean;
  /** Written even when empty (no omitempty upstream, or a struct by value). */
  readonly keepEmpty?: boolean;
  /** A pointer upstream: set to its zero value differs from not set. */
  readonly isPointer?: boolean;
  /** Merged into the parent's JSON object (upstream's inline). */
  readonly inline?: boolean;
  readonly description?: string;
  readonly defaultValue?: Json;
  readonly enumValues?: readonly string[];
  readonly patchStrategy?: 'merge' | 'retainKeys' | 'merge,retainKeys' | 'replace';
  readonly patchMergeKey?: string;
  readonly listType?: 'atomic' | 'set' | 'map';
  readonly listMapKeys?: readonly string[];
  readonly mapType?: 'atomic' | 'granular';
}

export interface MessageSchema {
  /** OpenAPI definition name, e.g. `io.k8s.api.core.v1.PodSpec`. */
  readonly name: string;
  readonly description?: string;
  readonly fields: readonly FieldSchema[];
  readonly mapType?: 'atomic';
  /** Has apiVersion and kind of its own. */
  readonly isKind: boolean;
  readonly group: string;
  readonly version: string;
}

export interface ColumnSchema {
  readonly name: string;
  readonly type: string;
  readonly format: string;
  readonly description: string;
  /** 0 = always shown, 1 = wide. */
  readonly priority: number;
}

export type Verb = 'create' | 'delete' | 'deletecollection' | 'get' | 'list' | 'patch' | 'update' | 'watch';

export interface ResourceSchema extends GroupVersionResource {
  readonly kind: string;
  readonly listKind: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly isNamespaced: boolean;
  readonly verbs: readonly Verb[];
  /** MessageSchema name of the kind. */
  readonly message: string;
  readonly hasStatus: boolean;
  /** Other subresources: `scale`, `log`, `exec`, `binding`, `eviction`, `token`, …, with the kind they take. */
  readonly subresources: readonly {
    readonly name: string;
    readonly kind: string;
    readonly group: string;
    readonly version: string;
    readonly verbs: readonly string[];
  }[];
  readonly columns: readonly ColumnSchema[];
  /** Cells in the order of `columns`. `nowMs` is wall time, for ages. */
  readonly cells: (object: KubeObject, nowMs: number) => readonly Json[];
  /** Beyond metadata.name and metadata.namespace. */
  readonly selectableFields: Readonly<Record<string, (object: KubeObject) => string>>;
  /** Upstream's defaults that are not a constant at a field. Changes `object`. */
  readonly applyDefaults?: (object: KubeObject) => void;
  /** Upstream's causes. `old` is absent on create; `subresource` is the one that an update came through. */
  readonly validate: (object: KubeObject, old: KubeObject | undefined, subresource?: string) => readonly FieldError[];
  /** Parts of the object that raise metadata.generation when they change; default: everything but metadata and status. */
  readonly bumpsGeneration: boolean;
  /** Group under which the store keeps it, e.g. `/registry/deployments/…` and `/registry/services/specs/…`. */
  readonly storagePrefix: string;
}

export interface FieldError {
  readonly reason:
    | 'FieldValueRequired'
    | 'FieldValueInvalid'
    | 'FieldValueNotSupported'
    | 'FieldValueDuplicate'
    | 'FieldValueForbidden'
    | 'FieldValueNotFound'
    | 'FieldValueTooLong'
    | 'FieldValueTooMany'
    | 'FieldValueTypeInvalid';
  /** `spec.containers[0].image` */
  readonly field: string;
  /** As upstream prints it, without the field: `Required value`, `Invalid value: "x": must be …`. */
  readonly message: string;
}

export interface Scheme {
  resources(): readonly ResourceSchema[];
  resource(gvr: GroupVersionResource): ResourceSchema | undefined;
  /** Preferred resource of a kind. */
  resourceOfKind(apiVersion: string, kind: string): ResourceSchema | undefined;
  message(name: string): MessageSchema | undefined;
  /** Message of any apiVersion/kind, including ones that are not resources (DeleteOptions, Scale, Binding, Eviction, TokenRequest, Status, …). */
  messageOfKind(apiVersion: string, kind: string): MessageSchema | undefined;
}

/** What decoding found besides the object. */
export interface Decoded {
  readonly object: KubeObject;
  /** `unknown field "spec.foo"`, `duplicate field "spec.bar"`; for fieldValidation Warn and Strict. */
  readonly strictErrors: readonly string[];
}

/** Kubernetes' Status object. */
export interface Status extends JsonObject {
  readonly kind: 'Status';
  readonly apiVersion: 'v1';
  readonly status: 'Success' | 'Failure';
  readonly message?: string;
  readonly reason?: string;
  readonly code: number;
}

/*
 * The folder's index.ts exports, besides these types:
 *
 *   scheme: Scheme
 *   decodeJson(text: string, expected?: {apiVersion, kind}): Decoded             throws StatusError 400
 *   encodeJson(object: JsonObject, message: MessageSchema): string               upstream field order and omission
 *   decodeProtobuf(body: Uint8Array): Decoded                                    envelope `k8s\0` + runtime.Unknown
 *   encodeProtobuf(object: JsonObject): Uint8Array
 *   encodeProtobufList / watch frames likewise
 *   applyDefaults(object, resource), validateObject(object, old, resource): FieldError[]
 *   mergePatch(target, patch), jsonPatch(target, operations), strategicMergePatch(target, patch, message)
 *   serverSideApply({live, applied, manager, force, message, subresource, nowRfc3339}) -> {object} | {conflicts}
 *   updateManagedFields(...) for create, update and patch
 *   openApiV3Document(groupVersion), openApiV3Index(hashOf), openApiV2Document(), openApiV2Protobuf()
 *   toTable(objects, resource, nowMs, includeObject), toPartialMetadata(object)
 *   parseLabelSelector(text), matchesLabelSelector(selector, labels), parseFieldSelector(text)
 *   Quantity: parseQuantity, formatQuantity, compareQuantity, addQuantity
 *   StatusError and its constructors: notFound, alreadyExists, conflict, invalid, forbidden, unauthorized, badRequest, gone, tooLargeResourceVersion, internalError, methodNotAllowed, unsupportedMediaType, notAcceptable, timeout, tooManyRequests, requestEntityTooLarge
 */
