/**
 * What is special about a kind beyond its schema: hooks around create and update, and how long a deletion waits. The
 * kinds without an entry in strategies.ts have none of it.
 */
import type { RequestContext } from './core.ts';
import type { JsonObject, KubeObject } from './kinds.ts';

/** Something taken outside of the object (a service address) that must be given back when the write fails. */
export interface Reservation {
  release(): Promise<void>;
}

export interface UpdateScope {
  readonly subresource: string;
}

export interface Strategy {
  /** Status given on create is kept; otherwise it starts empty. */
  readonly keepsStatusOnCreate?: boolean;
  /** Before defaults are validated. Changes `object`. */
  prepareForCreate?(object: KubeObject, context: RequestContext): void;
  /** Takes what the object needs from elsewhere, writing it into `object`. `old` is absent on create. Not called for dry runs. */
  reserve?(object: KubeObject, old: KubeObject | undefined, context: RequestContext): Promise<Reservation | undefined>;
  /** Keeps what this request must not change. Changes `object`. */
  prepareForUpdate?(object: KubeObject, old: KubeObject, scope: UpdateScope): void;
  /** Grace period in seconds of a deletion; undefined = at once. */
  gracePeriodSeconds?(object: KubeObject, options: JsonObject): number | undefined;
  /** Gives back what the change made free; after it is stored. */
  afterUpdate?(object: KubeObject, old: KubeObject, context: RequestContext): Promise<void>;
  /** Gives back what the object held; after it is gone. */
  afterDelete?(object: KubeObject, context: RequestContext): Promise<void>;
  /** True while the object must stay although it has no finalizers (namespaces). */
  mustStay?(object: KubeObject): boolean;
  /** On the first deletion of an object that stays for now. Changes `object`. */
  markDeleted?(object: KubeObject): void;
}
