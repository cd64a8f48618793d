/**
 * What the cluster has committed, in order, handed to the checkers' own model of a store: the truth that answers, watches and
 * leases are held against. Read from the logs of the members as soon as an entry is first seen committed.
 */
import type { InternalOp, RequestOp } from '../../src/kv/api.ts';
import { decodeEntry } from '../../src/kv/server/entry.ts';
import type { Entry } from '../../src/raft/core/types.ts';
import type { LeaseLife } from '../check/leases.ts';
import { type ModelRequest, type ModelStep, StoreModel } from '../check/model.ts';

const decoder = new TextDecoder();

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

export class CommitLog {
  readonly model = new StoreModel();
  readonly #nowMs: () => number;
  readonly #lives = new Map<string, Mutable<LeaseLife>>();
  #last = 0;
  /** Entries were compacted away before anybody looked: the model knows too little to judge. */
  hasGap = false;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  lives(): readonly LeaseLife[] {
    return [...this.#lives.values()];
  }

  take(entry: Entry): void {
    // What a cluster begins with was committed before it began.
    if (entry.index !== this.#last + 1 && this.#last > 0) this.hasGap = true;
    this.#last = entry.index;
    if (entry.kind !== 'normal' || entry.data.length === 0) return;
    const request = toModel(decodeEntry(entry.data).request.op);
    if (!this.model.apply(request)) return;
    const atMs = this.#nowMs();
    if (request.kind === 'grant') {
      const { lease, ttlSeconds } = request;
      this.#lives.set(lease, { lease, ttlSeconds, grantedMs: atMs, endedMs: undefined });
    } else if (request.kind === 'revoke') {
      const life = this.#lives.get(request.lease);
      if (life !== undefined) life.endedMs = atMs;
    }
  }
}

function toModel(op: InternalOp): ModelRequest {
  switch (op.kind) {
    case 'put':
    case 'deleteRange':
      return toStep(op);
    case 'txn': {
      const compare = op.request.compare.map(({ key, target }) => {
        // The workload compares with a value, or with version 0 for "is absent".
        const value = target.kind === 'value' ? decoder.decode(target.value) : undefined;
        return { key: decoder.decode(key), value };
      });
      return {
        kind: 'txn',
        compare,
        success: op.request.success.map(toStep),
        failure: op.request.failure.map(toStep),
      };
    }
    case 'compact':
      return { kind: 'compact', revision: op.revision };
    case 'leaseGrant':
      return { kind: 'grant', lease: String(op.id), ttlSeconds: op.ttlSeconds };
    case 'leaseRevoke':
      return { kind: 'revoke', lease: String(op.id) };
    default:
      return { kind: 'other' };
  }
}

function toStep(op: RequestOp): ModelStep {
  switch (op.kind) {
    case 'put': {
      const { key, value, lease } = op.request;
      return { kind: 'put', key: decoder.decode(key), value: decoder.decode(value), lease: String(lease) };
    }
    case 'deleteRange':
      return { kind: 'delete', key: decoder.decode(op.request.key), end: decoder.decode(op.request.rangeEnd) };
    default:
      return { kind: 'read' };
  }
}
