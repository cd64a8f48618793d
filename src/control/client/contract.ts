/**
 * The API server as its clients see it: HTTP only, works against a real kube-apiserver unchanged. Controllers, the
 * scheduler and the node agent see the cluster through this and nothing else.
 */
import type { GroupVersionResource, JsonObject, KubeObject } from '../api/contract.ts';

export interface ApiClient {
  get(resource: GroupVersionResource, namespace: string, name: string, options?: RequestOptions): Promise<KubeObject>;
  list(resource: GroupVersionResource, query?: ListQuery, options?: RequestOptions): Promise<ObjectList>;
  create(
    resource: GroupVersionResource,
    object: KubeObject | JsonObject,
    options?: RequestOptions,
  ): Promise<KubeObject>;
  /** Needs metadata.resourceVersion; rejects with a StatusError of reason Conflict when it is stale. */
  update(resource: GroupVersionResource, object: KubeObject, options?: SubresourceOptions): Promise<KubeObject>;
  patch(
    resource: GroupVersionResource,
    namespace: string,
    name: string,
    patch: Patch,
    options?: SubresourceOptions,
  ): Promise<KubeObject>;
  delete(
    resource: GroupVersionResource,
    namespace: string,
    name: string,
    options?: DeleteOptions & RequestOptions,
  ): Promise<void>;
  /** POST to a subresource (`binding`, `eviction`, `token`). */
  createSubresource(
    resource: GroupVersionResource,
    namespace: string,
    name: string,
    subresource: string,
    body: JsonObject,
  ): Promise<JsonObject>;
  /** Ends when the server closes it (`ended`) or `signal` aborts. */
  watch(resource: GroupVersionResource, query: WatchQuery, listener: WatchListener, signal: AbortSignal): void;
  /** GET of a path that is not a resource, as text (`/version`, `/livez`). */
  raw(path: string, options?: RequestOptions): Promise<string>;
  close(): void;
}

export interface RequestOptions {
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
}

export interface SubresourceOptions extends RequestOptions {
  readonly subresource?: 'status' | 'scale' | 'finalize';
  readonly fieldManager?: string;
}

export interface DeleteOptions {
  readonly gracePeriodSeconds?: number;
  readonly propagationPolicy?: 'Background' | 'Foreground' | 'Orphan';
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
}

export type Patch =
  | { readonly type: 'merge' | 'strategic'; readonly body: JsonObject }
  | { readonly type: 'json'; readonly body: readonly JsonObject[] }
  | { readonly type: 'apply'; readonly body: JsonObject; readonly force?: boolean };

export interface ListQuery {
  /** Absent = all namespaces. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  readonly limit?: number;
  readonly continue?: string;
  readonly resourceVersion?: string;
}

export interface ObjectList {
  readonly items: readonly KubeObject[];
  readonly resourceVersion: string;
  readonly continue?: string;
}

export interface WatchQuery extends Omit<ListQuery, 'limit' | 'continue'> {
  readonly timeoutSeconds?: number;
}

export interface WatchListener {
  event(type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK', object: KubeObject): void;
  /** 410: the caller must list again. Anything else: watch again from the last resourceVersion. */
  ended(
    reason:
      | { readonly kind: 'closed' }
      | { readonly kind: 'expired' }
      | { readonly kind: 'error'; readonly error: Error },
  ): void;
}

export interface ApiClientOptions {
  /** One or several servers; a call that could not be sent moves on to the next. */
  readonly servers: readonly string[];
  readonly ca: Uint8Array;
  readonly credentials:
    | { readonly kind: 'certificate'; readonly cert: Uint8Array; readonly key: Uint8Array }
    | { readonly kind: 'token'; readonly token: () => string };
  readonly userAgent: string;
}

/** Watches one resource into a local, indexed copy. */
export interface Informer {
  readonly resource: GroupVersionResource;
  /** `namespace/name`, or `name` for cluster-scoped objects. The object must not be changed. */
  get(key: string): KubeObject | undefined;
  list(): readonly KubeObject[];
  /** Objects whose index function `name` returned `value`. */
  byIndex(name: string, value: string): readonly KubeObject[];
  addIndex(name: string, values: (object: KubeObject) => readonly string[]): void;
  /** Level-triggered: handlers get the key and both states, and should only enqueue. */
  onChange(handler: (key: string, before: KubeObject | undefined, after: KubeObject | undefined) => void): void;
  hasSynced(): boolean;
}

/** Deduplicating, delaying, rate-limited queue of keys; a key is never worked on twice at once. */
export interface WorkQueue {
  add(key: string): void;
  addAfter(key: string, delayMs: number): void;
  /** After a failure: exponential back-off per key. */
  addRateLimited(key: string): void;
  forget(key: string): void;
  length(): number;
}
