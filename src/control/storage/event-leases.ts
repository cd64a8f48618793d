/**
 * Store leases for objects that expire by themselves (Events: one hour). All objects written within a minute share a
 * lease, so that a burst of events costs one lease and not one each; an object lives between its time to live and one
 * minute longer.
 */
import type { Clock } from '../../env/clock.ts';
import type { KvClient, LeaseId } from '../../kv/index.ts';

const reuseMs = 60_000;
/** etcd slows down with many keys on one lease; upstream's limit. */
const objectsPerLeaseMax = 1000;

export class SharedLeases {
  readonly #kv: KvClient;
  readonly #clock: Clock;
  readonly #ttlSeconds: number;
  #current: { readonly id: Promise<LeaseId>; readonly untilMs: number; objects: number } | undefined;
  constructor(kv: KvClient, clock: Clock, ttlSeconds: number) {
    this.#kv = kv;
    this.#clock = clock;
    this.#ttlSeconds = ttlSeconds;
  }

  /** A lease with at least the time to live left. */
  lease(): Promise<LeaseId> {
    const now = this.#clock.monotonicMs();
    if (this.#current === undefined || now >= this.#current.untilMs || this.#current.objects >= objectsPerLeaseMax) {
      const id = this.#kv.leaseGrant(this.#ttlSeconds + reuseMs / 1000);
      const granted = { id, untilMs: now + reuseMs, objects: 0 };
      this.#current = granted;
      id.catch(() => {
        if (this.#current === granted) this.#current = undefined;
      });
    }
    this.#current.objects++;
    return this.#current.id;
  }
}
