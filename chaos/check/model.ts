/**
 * What a store of etcd's kind is, in a page: keys with versions, one revision for each request that writes, leases that take their
 * keys with them, compaction. It is fed what was committed, in order, and says what every revision must hold. It shares no
 * code with the store, and has no idea of bytes, disks or members: keys and values are text, lease ids are text.
 */

/** A key as some revision left it. */
export interface ModelKey {
  readonly key: string;
  readonly value: string;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
  /** '0' = none. */
  readonly lease: string;
}

export interface ModelEvent {
  readonly revision: number;
  readonly type: 'put' | 'delete';
  readonly key: string;
  /** Of a put. */
  readonly now: ModelKey | undefined;
  readonly before: ModelKey | undefined;
}

/** '' as end = the key alone; '\0' = every key from `key` on. */
export interface ModelRange {
  readonly key: string;
  readonly end: string;
}

export type ModelStep =
  | { readonly kind: 'put'; readonly key: string; readonly value: string; readonly lease: string }
  | ({ readonly kind: 'delete' } & ModelRange)
  | { readonly kind: 'read' };

/** Equality only: `undefined` = the key is not there. */
export interface ModelCompare {
  readonly key: string;
  readonly value: string | undefined;
}

export type ModelRequest =
  | ModelStep
  | {
      readonly kind: 'txn';
      readonly compare: readonly ModelCompare[];
      readonly success: readonly ModelStep[];
      readonly failure: readonly ModelStep[];
    }
  | { readonly kind: 'compact'; readonly revision: number }
  | { readonly kind: 'grant'; readonly lease: string; readonly ttlSeconds: number }
  | { readonly kind: 'revoke'; readonly lease: string }
  /** Changes nothing that this model knows of. */
  | { readonly kind: 'other' };

/** `value`: undefined = the key is gone. */
export interface ModelChange {
  readonly key: string;
  readonly value: string | undefined;
  readonly lease: string;
}

export interface ModelLease {
  readonly ttlSeconds: number;
  readonly keys: Set<string>;
}

export function isWithin({ key, end }: ModelRange, candidate: string): boolean {
  if (end === '') return candidate === key;
  return candidate >= key && (end === '\0' || candidate < end);
}

export class StoreModel {
  revision = 1;
  /** Of the newest compaction that was carried out. */
  compactRevision = 0;
  readonly compactions = new Set<number>();
  readonly leases = new Map<string, ModelLease>();
  /** All of them, oldest first. */
  readonly events: ModelEvent[] = [];
  readonly #byRevision = new Map<number, ModelEvent[]>();
  readonly #versions = new Map<string, ModelEvent[]>();
  /** Every key that ever was; made anew when there are more. */
  #sortedKeys: readonly string[] = [];

  /** True when the request was carried out, false when it had to be refused. */
  apply(request: ModelRequest): boolean {
    switch (request.kind) {
      case 'put':
      case 'delete':
        return this.#write([request]);
      case 'txn': {
        const holds = request.compare.every(({ key, value }) => this.at(key, this.revision)?.value === value);
        return this.#write(holds ? request.success : request.failure);
      }
      case 'compact':
        if (request.revision <= this.compactRevision || request.revision > this.revision) return false;
        this.compactRevision = request.revision;
        this.compactions.add(request.revision);
        return true;
      case 'grant':
        if (this.leases.has(request.lease)) return false;
        this.leases.set(request.lease, { ttlSeconds: request.ttlSeconds, keys: new Set() });
        return true;
      case 'revoke': {
        const lease = this.leases.get(request.lease);
        if (lease === undefined) return false;
        this.#write([...lease.keys].sort().map((key) => ({ kind: 'delete', key, end: '' })));
        this.leases.delete(request.lease);
        return true;
      }
      case 'read':
      case 'other':
        return true;
    }
  }

  /**
   * Takes the next revision by what it changed, for a store of which only the events are known. False when it is not the next
   * one, changes nothing, or deletes what is not there: then nothing was taken. Versions and the like are the model's own account.
   */
  takeRevision(revision: number, changes: readonly ModelChange[]): boolean {
    if (revision !== this.revision + 1 || changes.length === 0) return false;
    const isThere = ({ key, value }: ModelChange) => value !== undefined || this.at(key, revision) !== undefined;
    if (!changes.every(isThere)) return false;
    for (const { key, value, lease } of changes) {
      if (value === undefined) this.#delete(key, revision);
      else this.#put(key, value, lease, revision);
    }
    this.revision = revision;
    return true;
  }

  /** What revision `revision` shows of a key. */
  at(key: string, revision: number): ModelKey | undefined {
    const versions = this.#versions.get(key) ?? [];
    let [from, to] = [0, versions.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      if ((versions[middle] as ModelEvent).revision <= revision) from = middle + 1;
      else to = middle;
    }
    return versions[from - 1]?.now;
  }

  /** All keys in their order. */
  list(revision: number): readonly ModelKey[] {
    if (this.#sortedKeys.length !== this.#versions.size) this.#sortedKeys = [...this.#versions.keys()].sort();
    return this.#sortedKeys.flatMap((key) => this.at(key, revision) ?? []);
  }

  eventsOf(key: string): readonly ModelEvent[] {
    return this.#versions.get(key) ?? [];
  }

  eventsAt(revision: number): readonly ModelEvent[] {
    return this.#byRevision.get(revision) ?? [];
  }

  /** All of the steps in one revision, or none when one of them is impossible. */
  #write(steps: readonly ModelStep[]): boolean {
    const isPossible = steps.every((step) => step.kind !== 'put' || step.lease === '0' || this.leases.has(step.lease));
    if (!isPossible) return false;
    const revision = this.revision + 1;
    for (const step of steps) {
      if (step.kind === 'put') this.#put(step.key, step.value, step.lease, revision);
      else if (step.kind === 'delete') this.#deleteWithin(step, revision);
    }
    if (this.eventsAt(revision).length > 0) this.revision = revision;
    return true;
  }

  #deleteWithin(range: ModelRange, revision: number): void {
    if (range.end === '') {
      if (this.at(range.key, revision) !== undefined) this.#delete(range.key, revision);
      return;
    }
    for (const { key } of this.list(revision)) if (isWithin(range, key)) this.#delete(key, revision);
  }

  #put(key: string, value: string, lease: string, revision: number): void {
    const before = this.at(key, revision);
    const createRevision = before?.createRevision ?? revision;
    const now = { key, value, createRevision, modRevision: revision, version: (before?.version ?? 0) + 1, lease };
    if (before !== undefined) this.leases.get(before.lease)?.keys.delete(key);
    this.leases.get(lease)?.keys.add(key);
    this.#take({ revision, type: 'put', key, now, before });
  }

  #delete(key: string, revision: number): void {
    const before = this.at(key, revision);
    if (before !== undefined) this.leases.get(before.lease)?.keys.delete(key);
    this.#take({ revision, type: 'delete', key, now: undefined, before });
  }

  #take(event: ModelEvent): void {
    this.events.push(event);
    const together = this.#byRevision.get(event.revision);
    if (together === undefined) this.#byRevision.set(event.revision, [event]);
    else together.push(event);
    const versions = this.#versions.get(event.key) ?? [];
    versions.push(event);
    this.#versions.set(event.key, versions);
  }
}
