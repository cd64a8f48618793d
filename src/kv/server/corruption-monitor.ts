/**
 * Compares this member's data with the others': before it serves, from time to time while it leads, and at compactions.
 * Who is found to differ gets the CORRUPT alarm, after which nothing is written until somebody has looked. What cannot be
 * compared (a member that is behind, or cannot be reached) is left for the next time.
 */
import { assert } from '../../env/assert.ts';
import type { Cancel, Clock } from '../../env/clock.ts';
import { errorText, KeelsonError } from '../../env/errors.ts';
import type { Log } from '../../env/log.ts';
import type { Member } from '../api.ts';
import type { KvState } from '../apply/contract.ts';
import { KvError } from '../errors.ts';
import { compactionVerdict, corruptMembers, differingPeers, type PeerHash, type StoreHash } from './corruption.ts';
import { hashInSlices } from './hash-in-slices.ts';
import { hexId } from './upkeep.ts';

export interface CorruptionChecks {
  readonly isCheckedAtStart: boolean;
  /** 0 = never. */
  readonly checkEveryMs: number;
  /** 0 = never. */
  readonly compactionHashEveryMs: number;
}

/** Asks one member, by its peer URLs, for its hash at a revision. */
export type AskHash = (
  peerUrls: readonly string[],
  question: { readonly clusterId: number; readonly revision: number },
) => Promise<Omit<PeerHash, 'memberId'>>;

export interface CorruptionMonitorOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly kv: KvState;
  readonly stopped: AbortSignal;
  readonly memberId: number;
  readonly clusterId: number;
  readonly checks: CorruptionChecks;
  readonly askHash: AskHash;
  /** Resolves once a quorum has confirmed that this member leads. */
  readonly confirm: () => Promise<void>;
  /** Resolves once the CORRUPT alarm of that member is stored. */
  readonly raise: (memberId: number) => Promise<unknown>;
}

/** Hashes of compactions that are kept for the leader to ask about; etcd keeps as many. */
const compactionHashesMax = 10;

export class CorruptionMonitor {
  readonly #options: CorruptionMonitorOptions;
  /** Newest first. */
  #compactionHashes: StoreHash[] = [];
  /** Compaction whose hash was begun last. */
  #lastHashed = 0;
  #lastChecked = 0;
  #cancels: Cancel[] = [];
  #isChecking = false;

  constructor(options: CorruptionMonitorOptions) {
    this.#options = options;
  }

  /** Before this member serves anybody. Rejects with CORRUPT when another member's data differs. */
  async checkAtStart(): Promise<void> {
    const { log, checks, kv, memberId } = this.#options;
    if (!checks.isCheckedAtStart) return;
    const self = { 'local-member-id': hexId(memberId) };
    log.info('starting initial corruption check', self);
    const own = await this.#hash(kv.revision());
    const differing = differingPeers(own, await this.#askAll(own.revision));
    if (differing.length === 0) {
      log.info('initial corruption checking passed; no corruption', self);
      return;
    }
    const others = differing.map(hexId).join(', ');
    throw new KeelsonError(
      'CORRUPT',
      `${hexId(memberId)} found data inconsistency with peers: at revision ${own.revision} its data differs from that of ${others}: find out whose is wrong, and have that member come back without its data`,
    );
  }

  /** While it leads it looks after everybody's data. */
  setLeading(isLeader: boolean): void {
    this.stop();
    const { clock, checks } = this.#options;
    if (!isLeader) return;
    const every = (periodMs: number, check: () => Promise<void>) => {
      if (periodMs > 0) this.#cancels.push(clock.every(periodMs, () => void this.#carryOut(check)));
    };
    every(checks.checkEveryMs, () => this.check());
    every(checks.compactionHashEveryMs, () => this.checkCompactions());
  }

  stop(): void {
    for (const cancel of this.#cancels) cancel();
    this.#cancels = [];
  }

  /** A compaction has been cleaned up here: what it left is hashed, for comparison later. */
  async compacted(): Promise<void> {
    if (this.#options.checks.compactionHashEveryMs === 0) return;
    const revision = this.#options.kv.compactRevision();
    if (revision <= this.#lastHashed) return;
    this.#lastHashed = revision;
    try {
      const hash = await this.#hash(revision);
      this.#compactionHashes = [hash, ...this.#compactionHashes].slice(0, compactionHashesMax);
    } catch (error) {
      // The member stops, or its content was replaced: this compaction is not compared.
      if (!(error instanceof KvError)) throw error;
    }
  }

  /** For another member that asks. Throws KvError when this one cannot say. */
  async hashAt(revision: number): Promise<StoreHash & { readonly headRevision: number }> {
    const kept = this.#compactionHashes.find((item) => item.revision === revision);
    return { ...(kept ?? (await this.#hash(revision))), headRevision: this.#options.kv.revision() };
  }

  /** One look at everybody's data at the head. */
  async check(): Promise<void> {
    const { kv, memberId, confirm } = this.#options;
    const before = await this.#hash(kv.revision());
    const peers = await this.#askAll(before.revision);
    await confirm();
    const after = await this.#hash(kv.revision());
    for (const corrupt of corruptMembers({ memberId, before, after }, peers)) await this.#raise(corrupt, before);
  }

  /** Compares the newest compaction that has not been compared and that some member can speak about. */
  async checkCompactions(): Promise<void> {
    const { log, kv, memberId, confirm } = this.#options;
    const unchecked = this.#compactionHashes.filter((hash) => hash.revision > this.#lastChecked);
    let checked = 0;
    for (const hash of unchecked) {
      const peers = await this.#askAll(hash.revision);
      await confirm();
      if (peers.length === 0) continue;
      checked += 1;
      const verdict = compactionVerdict({ ...hash, memberId }, peers, kv.members().size);
      // Who is wrong cannot be said: then nobody may go on, which member 0 stands for.
      if (verdict.kind === 'undecided') await this.#raise(0, hash);
      else if (verdict.kind === 'corrupt') for (const member of verdict.members) await this.#raise(member, hash);
      else if (peers.length < kv.members().size - 1) continue;
      this.#lastChecked = hash.revision;
      break;
    }
    log.info('finished compaction hash check', { 'number-of-hashes-checked': checked });
  }

  async #raise(corrupt: number, { revision, hash }: StoreHash): Promise<void> {
    const { log, kv, raise } = this.#options;
    if (kv.alarms().some(({ memberId, alarm }) => memberId === corrupt && alarm === 'corrupt')) return;
    log.error('found hash mismatch', { 'corrupted-member-id': hexId(corrupt), revision, 'leader-hash': hash });
    await raise(corrupt);
  }

  async #carryOut(check: () => Promise<void>): Promise<void> {
    // One at a time: a member that answers slowly must not gather questions.
    if (this.#isChecking) return;
    this.#isChecking = true;
    try {
      await check();
    } catch (error) {
      if (!(error instanceof KeelsonError)) throw error;
      this.#options.log.warn('failed to check hashes', { error: errorText(error) });
    } finally {
      this.#isChecking = false;
    }
  }

  /** Everybody who can say its hash at that revision. */
  async #askAll(revision: number): Promise<readonly PeerHash[]> {
    const { kv, memberId, clusterId, askHash, log } = this.#options;
    const others = [...kv.members().values()].filter((member) => member.id !== memberId);
    const ask = async ({ id, peerUrls }: Member): Promise<readonly PeerHash[]> => {
      try {
        return [{ ...(await askHash(peerUrls, { clusterId, revision })), memberId: id }];
      } catch (error) {
        const isBehind = error instanceof KvError && (error.kv === 'compacted' || error.kv === 'futureRevision');
        const say = { 'remote-peer-id': hexId(id), revision, error: errorText(error) };
        if (isBehind) log.info('cannot compare hashes: the other member is at another revision', say);
        else log.warn('failed hash kv request', say);
        return [];
      }
    };
    return (await Promise.all(others.map(ask))).flat();
  }

  #hash(revision: number): Promise<StoreHash> {
    assert(revision > 0, 'a store has revision 1 at least');
    return hashInSlices(this.#options, revision);
  }
}
