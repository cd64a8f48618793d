/**
 * The API servers that are alive, by the store: each keeps a key with its address under a lease, so that a dead one's key
 * goes away by itself.
 */
import type { KvClient, LeaseId } from '../../kv/index.ts';
import { bytesOf, prefixEnd, textOf } from './keys.ts';

const keyPrefix = '/registry/masterleases/';
/** Upstream's: long enough for a store election, short enough that clients soon lose a dead server. */
const leaseSeconds = 15;
/** A server that stops does not wait longer than this for the store; its lease runs out anyway. */
const leaveTimeoutMs = 1000;

export class ServerLeases {
  readonly #kv: KvClient;
  readonly #address: string;
  #lease: LeaseId | undefined;

  /** `address`: this server's own. */
  constructor(kv: KvClient, address: string) {
    this.#kv = kv;
    this.#address = address;
  }

  /** Renews this server's lease or takes a new one; then the addresses of all servers alive, this one among them. */
  async renew(): Promise<string[]> {
    const left = this.#lease === undefined ? 0 : await this.#kv.leaseKeepAliveOnce(this.#lease).catch(() => 0);
    if (left <= 0) await this.#announce();
    const addresses = await this.#addresses();
    if (addresses.includes(this.#address)) return addresses;
    // Somebody removed the key; without it nobody would send requests here.
    await this.#announce();
    return this.#addresses();
  }

  /** Takes this server off the list; the addresses that are left, or undefined when it never was on it. */
  async leave(): Promise<string[] | undefined> {
    if (this.#lease === undefined) return undefined;
    await this.#kv.leaseRevoke(this.#lease, { timeoutMs: leaveTimeoutMs });
    this.#lease = undefined;
    return this.#addresses();
  }

  async #announce(): Promise<void> {
    const lease = await this.#kv.leaseGrant(leaseSeconds);
    await this.#kv.put({ key: bytesOf(keyPrefix + this.#address), value: bytesOf(this.#address), lease });
    this.#lease = lease;
  }

  async #addresses(): Promise<string[]> {
    const found = await this.#kv.range({ key: bytesOf(keyPrefix), rangeEnd: prefixEnd(keyPrefix) });
    return found.kvs.map((item) => textOf(item.value)).sort();
  }
}
