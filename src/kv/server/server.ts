/** `KvServer` behind its contract: puts the parts of one member together and hands each request to the part it is for. */
import { assert } from '../../env/assert.ts';
import type { Clock } from '../../env/clock.ts';
import type { Env } from '../../env/env.ts';
import type { RaftNode, ReplicaId, SoftState } from '../../raft/index.ts';
import type {
  AlarmType,
  ApplyResult,
  DeleteRangeRequest,
  InternalOp,
  KvErrorCode,
  LeaseId,
  Member,
  PutRequest,
  RangeRequest,
  TxnRequest,
  WatchRequest,
} from '../api.ts';
import type { KvState } from '../apply/index.ts';
import type { Passwords } from '../auth/passwords.ts';
import type { Tokens } from '../auth/tokens.ts';
import { KvError } from '../errors.ts';
import type { Watcher, WatchSink } from '../mvcc/contract.ts';
import { SnapshotExporter, type StoreSnapshot } from '../snapshot/exporter.ts';
import type { From } from './auth-contract.ts';
import { AuthKeeper } from './auth-keeper.ts';
import type { Autopilot } from './autopilot.ts';
import type {
  Alarm,
  AutoCompaction,
  KvCounters,
  KvServer,
  KvServerLimits,
  KvStatus,
  LeaseRemaining,
  MemberJoin,
  MemberMove,
} from './contract.ts';
import { KeyRequests, writeOverheadBytes } from './key-requests.ts';
import { Leadership } from './leadership.ts';
import { type AskHash, type CorruptionChecks, CorruptionMonitor } from './corruption-monitor.ts';
import { LeaseKeeper, type LeaderProxy } from './lease-keeper.ts';
import { Membership } from './membership.ts';
import { Proposer } from './proposer.ts';
import { LinearizableReader } from './reader.ts';
import { type ChangeOutcome, StoreMachine } from './state-machine.ts';
import { readSucceeded } from './succession.ts';
import { StoreTimings } from './timings.ts';
import { hexId, Upkeep } from './upkeep.ts';
import { etcdVersion } from './version.ts';
import { Waiters } from './waiters.ts';

/** What many watchers wait for is gathered this long; to one of a thousand it makes no difference. */
const publishAfterMs = 1;
/** etcd's: five seconds, and time for two elections in between. */
const requestTimeoutMs = 5_000;
/** etcd's. */
const healthyAfterMsDefault = 5_000;

export interface KvServerOptions {
  /** An entry that takes longer to apply is logged; absent: none is. */
  readonly slowApplyMs?: number;
  readonly env: Pick<Env, 'clock' | 'random' | 'disk' | 'log'>;
  /** The data directory: snapshots are made in it. */
  readonly directory: string;
  readonly kv: KvState;
  readonly clusterId: number;
  readonly memberId: number;
  readonly name: string;
  readonly token: string;
  readonly clientUrls: readonly string[];
  /** Public key of the data directory; absent when the others need not know it. */
  readonly memberKey?: string;
  readonly limits: KvServerLimits;
  readonly compaction: AutoCompaction;
  readonly isStrictReconfiguration: boolean;
  /** As PeerTransport has it; absent on a network that has no connections. */
  readonly connectedSinceMs?: ((id: number) => number | undefined) | undefined;
  /** How long a member must have been connected to count as healthy when the membership changes. */
  readonly healthyAfterMs?: number;
  readonly tickMs: number;
  readonly electionTicks: number;
  readonly proxy: LeaderProxy;
  readonly auth: AuthOptions;
  /** The member table changed: Raft's transport must know the addresses. */
  readonly onMembers: () => void;
  readonly onRemoved: () => void;
  readonly onFatal: (error: Error) => void;
  /** When the data is compared with the other members', and how they are asked. Absent: never. */
  readonly corruption?: { readonly checks: CorruptionChecks; readonly askHash: AskHash };
}

export interface AuthOptions {
  readonly tokens: Tokens;
  readonly passwords: Passwords;
  /** The common name of a verified client certificate is a user. */
  readonly isCommonNameUser: boolean;
}

const noCorruptionChecks = {
  checks: { isCheckedAtStart: false, checkEveryMs: 0, compactionHashEveryMs: 0 },
  askHash: () => Promise.reject(new KvError('notCapable')),
};

export class StoreServer implements KvServer {
  readonly clusterId: number;
  readonly memberId: number;
  readonly clock: Clock;
  readonly limits: KvServerLimits;
  readonly electionMs: number;
  readonly auth: AuthKeeper;
  /** What Raft drives. */
  readonly machine: StoreMachine;
  readonly #options: KvServerOptions;
  readonly #kv: KvState;
  readonly #requests: Waiters<ApplyResult>;
  readonly #changes: Waiters<ChangeOutcome>;
  readonly #proposer: Proposer;
  readonly #reader: LinearizableReader;
  readonly #leases: LeaseKeeper;
  readonly #membership: Membership;
  readonly #upkeep: Upkeep;
  readonly #keys: KeyRequests;
  readonly #leadership: Leadership;
  readonly #corruption: CorruptionMonitor;
  readonly #timings = new StoreTimings();
  readonly #exporter: SnapshotExporter;
  readonly #softStateListeners = new Set<(state: SoftState) => void>();
  readonly #counts = { puts: 0, deletes: 0, txns: 0 };
  readonly #stopped = new AbortController();
  #isPublishDue = false;
  #raft: RaftNode | undefined;
  #autopilot: Pick<Autopilot, 'status'> | undefined;
  #softState: SoftState = { role: 'follower', leader: 0 as ReplicaId };

  constructor(options: KvServerOptions) {
    const { env, kv, memberId } = options;
    assert(memberId > 0 && options.clusterId > 0, 'a member knows its own and its cluster’s id');
    this.#options = options;
    this.#kv = kv;
    this.clusterId = options.clusterId;
    this.memberId = memberId;
    this.clock = env.clock;
    this.limits = options.limits;
    this.electionMs = options.tickMs * options.electionTicks;
    const timeoutMs = requestTimeoutMs + 2 * this.electionMs;
    const raft = () => this.#raft;
    this.#requests = new Waiters(env.clock);
    this.#changes = new Waiters(env.clock);
    this.#proposer = new Proposer({
      clock: env.clock,
      random: env.random,
      memberId,
      raft,
      requests: this.#requests,
      changes: this.#changes,
      timeoutMs,
      requestBytesMax: options.limits.requestBytesMax,
    });
    this.#reader = new LinearizableReader(env.clock, raft, timeoutMs, this.#timings);
    this.#exporter = new SnapshotExporter(env.disk, options.directory);
    this.#leases = new LeaseKeeper({
      clock: env.clock,
      random: env.random,
      log: env.log,
      kv,
      proposer: this.#proposer,
      reader: this.#reader,
      proxy: options.proxy,
      leaderUrls: () => this.#leaderUrls(),
      minTtlSeconds: Math.ceil((1.5 * this.electionMs) / 1000),
      timeoutMs,
    });
    this.#membership = new Membership({
      kv,
      random: env.random,
      proposer: this.#proposer,
      raft: () => this.#running(),
      token: options.token,
      clusterId: options.clusterId,
      log: env.log,
      learnersMax: options.limits.learnersMax,
      isStrict: options.isStrictReconfiguration,
      clock: env.clock,
      connectedSinceMs: options.connectedSinceMs,
      healthyAfterMs: options.healthyAfterMs ?? healthyAfterMsDefault,
    });
    this.#upkeep = new Upkeep({
      clock: env.clock,
      log: env.log,
      kv,
      proposer: this.#proposer,
      memberId,
      name: options.name,
      clientUrls: options.clientUrls,
      ...(options.memberKey === undefined ? {} : { memberKey: options.memberKey }),
      quotaBytes: options.limits.quotaBytes,
      compaction: options.compaction,
      bytesOnDisk: () => kv.stats().bytesOnDisk,
      timings: this.#timings,
      onFatal: options.onFatal,
    });
    this.#corruption = new CorruptionMonitor({
      clock: env.clock,
      log: env.log,
      kv,
      memberId,
      clusterId: options.clusterId,
      ...(options.corruption ?? noCorruptionChecks),
      confirm: () => this.#reader.point(),
      raise: (id) => this.setAlarm('activate', id, 'corrupt'),
    });
    this.auth = new AuthKeeper({
      log: env.log,
      kv,
      proposer: this.#proposer,
      reader: this.#reader,
      ...options.auth,
    });
    this.#keys = new KeyRequests({
      kv,
      proposer: this.#proposer,
      reader: this.#reader,
      upkeep: this.#upkeep,
      auth: this.auth,
      txnOpsMax: options.limits.txnOpsMax,
      check: (error) => this.#check(error),
    });
    this.#leadership = new Leadership({ clock: env.clock, memberId, electionMs: this.electionMs, raft });
    this.machine = new StoreMachine({
      timed: { clock: env.clock, timings: this.#timings },
      memberId,
      kv,
      requests: this.#requests,
      changes: this.#changes,
      learnersMax: options.limits.learnersMax,
      onApplied: (op, result) => this.#applied(op, result),
      onUnpublished: () => this.#publishSoon(),
      onMembers: options.onMembers,
      onRemoved: options.onRemoved,
      ...(options.slowApplyMs === undefined
        ? {}
        : { slow: { clock: env.clock, log: env.log, thresholdMs: options.slowApplyMs } }),
    });
  }

  /** Raft runs from now on: `softStateChanged` may have been called already. */
  attach(raft: RaftNode): void {
    assert(!this.#raft, 'a member has one Raft replica');
    this.#raft = raft;
    this.#lead(this.#softState.role === 'leader');
  }

  /** Resolves once the cluster knows this member; it serves clients from then on. */
  publish(): Promise<void> {
    return this.#upkeep.publish(this.#stopped.signal);
  }

  /** Raft's onSoftState. */
  softStateChanged(state: SoftState): void {
    const before = this.#softState;
    this.#softState = state;
    const { log } = this.#options.env;
    if (state.leader !== before.leader) {
      if (state.leader === 0) log.info('lost leader', { 'local-member-id': hexId(this.memberId) });
      else log.info('elected leader', { 'local-member-id': hexId(this.memberId), leader: hexId(state.leader) });
    }
    if (this.#raft && (state.role === 'leader') !== (before.role === 'leader')) this.#lead(state.role === 'leader');
    for (const listener of this.#softStateListeners) listener(state);
  }

  /** Hands leadership on when it can, then turns everybody away. Raft itself is stopped by its owner. */
  async stop(): Promise<void> {
    if (this.#stopped.signal.aborted) return;
    await this.handLeadershipOn();
    this.#stopped.abort(new KvError('stopped'));
    this.#reader.stop();
    this.#upkeep.stop();
    this.#corruption.stop();
    this.#leases.stop();
    this.auth.close();
    this.#requests.failAll('stopped');
    this.#changes.failAll('stopped');
  }

  range(request: RangeRequest, from?: From) {
    return this.#keys.range(request, from);
  }

  put(request: PutRequest, from?: From) {
    return this.#keys.put(request, from);
  }

  deleteRange(request: DeleteRangeRequest, from?: From) {
    return this.#keys.deleteRange(request, from);
  }

  txn(request: TxnRequest, from?: From) {
    return this.#keys.txn(request, from);
  }

  compact(revision: number, isPhysical: boolean, from?: From) {
    return this.#keys.compact(revision, isPhysical, from);
  }

  watch(request: WatchRequest, sink: WatchSink): Watcher {
    return this.#kv.watch(request, sink);
  }

  watchRefusal(request: WatchRequest, from?: From) {
    return this.auth.watchRefusal(request, from);
  }

  async leaseGrant(id: LeaseId, ttlSeconds: number, from?: From) {
    this.#check(undefined);
    this.#upkeep.checkQuota(writeOverheadBytes);
    const { revision, response } = await this.#leases.grant(id, ttlSeconds, await this.auth.caller(from));
    assert(response.kind === 'leaseGrant', 'a grant is answered as a grant');
    this.#timings.leaseTtlSeconds.observe(response.ttlSeconds);
    return { id: response.id, ttlSeconds: response.ttlSeconds, revision };
  }

  async leaseRevoke(id: LeaseId, from?: From) {
    this.#check(undefined);
    const { revision } = await this.#leases.revoke(id, await this.auth.caller(from));
    return { revision };
  }

  async leaseKeepAlive(id: LeaseId, signal: AbortSignal, from?: From): Promise<number> {
    if (this.auth.isEnabled()) await this.auth.checkLease(from, 'write', id);
    const ttlSeconds = await this.#leases.keepAlive(id, AbortSignal.any([signal, this.#stopped.signal]));
    if (ttlSeconds > 0) this.#timings.leasesRenewed += 1;
    return ttlSeconds;
  }

  async leaseTimeToLive(id: LeaseId, withKeys: boolean, signal: AbortSignal, from?: From): Promise<LeaseRemaining> {
    await this.auth.requireUser(from);
    if (withKeys) await this.auth.checkLease(from, 'read', id);
    const remaining = await this.#leases.timeToLive(id, withKeys, AbortSignal.any([signal, this.#stopped.signal]));
    // The leader may know of more keys than this member did.
    if (withKeys) await this.auth.checkKeys(from, remaining.keys);
    return remaining;
  }

  async leases(from?: From): Promise<readonly LeaseId[]> {
    await this.#reader.point();
    await this.auth.checkLeases(from);
    return [...this.#kv.leases().all()].map((lease) => lease.id);
  }

  async members(isLinearizable: boolean): Promise<readonly Member[]> {
    if (isLinearizable) await this.#reader.point();
    return this.#membership.list();
  }

  async memberAdd(peerUrls: readonly string[], isLearner: boolean) {
    const member = await this.#membership.add(peerUrls, isLearner);
    return { member, members: this.#membership.list() };
  }

  async memberRemove(id: number): Promise<readonly Member[]> {
    await this.#membership.remove(id);
    return this.#membership.list();
  }

  async memberUpdate(id: number, peerUrls: readonly string[]): Promise<readonly Member[]> {
    await this.#membership.update(id, peerUrls);
    return this.#membership.list();
  }

  async memberPromote(id: number, signal: AbortSignal): Promise<readonly Member[]> {
    if (this.#softState.role === 'leader') await this.#membership.promote(id);
    else {
      const urls = this.#leaderUrls();
      if (!urls) throw new KvError('noLeader');
      await this.#options.proxy.promote(urls, id, signal);
      await this.#reader.point();
    }
    return this.#membership.list();
  }

  succeeds(): Promise<readonly number[]> {
    return readSucceeded(this.#options.env.disk, this.#options.directory);
  }

  memberJoin(request: MemberJoin): Promise<number> {
    return this.#membership.join(request);
  }

  memberMove(request: MemberMove): Promise<void> {
    return this.#membership.move(request);
  }

  /** As Upkeep.hasRaisedAlarm. */
  hasRaisedAlarm(): boolean {
    return this.#upkeep.hasRaisedAlarm();
  }

  alarms(): readonly Alarm[] {
    return this.#kv.alarms();
  }

  async setAlarm(action: 'activate' | 'deactivate', memberId: number, alarm: AlarmType): Promise<readonly Alarm[]> {
    const had = this.#kv.alarms().filter((item) => item.memberId === memberId && item.alarm === alarm);
    await this.#proposer.propose({ kind: 'alarm', action, memberId, alarm }, 'member');
    const isOn = this.#kv.alarms().some((item) => item.memberId === memberId && item.alarm === alarm);
    if (action === 'activate') return isOn ? [{ memberId, alarm }] : [];
    return had;
  }

  moveLeader(to: number): Promise<void> {
    return this.#leadership.moveTo(to);
  }

  /** Moves leadership to the member that is furthest, when this one leads. */
  handLeadershipOn(): Promise<void> {
    return this.#leadership.handOn();
  }

  async defragment(): Promise<void> {
    const startedMs = this.clock.monotonicMs();
    this.#timings.defragmentsUnderWay += 1;
    try {
      await this.#upkeep.clean();
      await this.#kv.defragment();
    } finally {
      this.#timings.defragmentsUnderWay -= 1;
    }
    this.#timings.defragmentSeconds.observe((this.clock.monotonicMs() - startedMs) / 1000);
  }

  async snapshot(): Promise<StoreSnapshot> {
    if (this.#stopped.signal.aborted) throw new KvError('stopped');
    const { term, confState } = this.#running().status();
    const startedMs = this.clock.monotonicMs();
    const { voters, learners } = confState;
    const snapshot = await this.#exporter.take(this.#kv, { term, voters, learners });
    this.#timings.exportSeconds.observe((this.clock.monotonicMs() - startedMs) / 1000);
    return snapshot;
  }

  /** Rejects with CORRUPT when it is to be checked and another member's data differs; for before it serves. */
  checkAtStart(): Promise<void> {
    return this.#corruption.checkAtStart();
  }

  /** What the leader does every so often: compares everybody's data at the head, and raises the alarm. */
  checkCorruption(): Promise<void> {
    return this.#corruption.check();
  }

  peerHash(revision: number) {
    return this.#corruption.hashAt(revision);
  }

  async hashKv(revision: number) {
    await this.#reader.point();
    const startedMs = this.clock.monotonicMs();
    const result = this.#kv.hashKv(revision);
    this.#timings.hashSeconds.observe((this.clock.monotonicMs() - startedMs) / 1000);
    if (typeof result === 'string') throw new KvError(result);
    return result;
  }

  position() {
    return {
      revision: this.#kv.revision(),
      term: this.#raft?.term() ?? 0,
      leader: this.#softState.leader as number,
      isLearner: this.#kv.members().get(this.memberId)?.isLearner ?? false,
    };
  }

  /** Who decides about the membership, for the status. */
  setAutopilot(autopilot: Pick<Autopilot, 'status'>): void {
    this.#autopilot = autopilot;
  }

  status(): KvStatus {
    const raft = this.#running().status();
    const autopilot = this.#autopilot?.status();
    const stats = this.#kv.stats();
    return {
      version: etcdVersion,
      clusterVersion: this.#kv.clusterVersion(),
      raft,
      term: raft.term,
      leader: raft.leader,
      isLearner: this.#kv.members().get(this.memberId)?.isLearner ?? false,
      revision: this.#kv.revision(),
      compactRevision: this.#kv.compactRevision(),
      keys: stats.keys,
      watchers: stats.watchers,
      slowWatchers: stats.slowWatchers,
      eventsSent: stats.eventsSent,
      bytesOnDisk: stats.bytesOnDisk,
      bytesInUse: stats.bytesInUse,
      quotaBytes: this.limits.quotaBytes,
      alarms: this.#kv.alarms(),
      isStopping: this.#stopped.signal.aborted,
      ...(autopilot === undefined ? {} : { autopilot }),
    };
  }

  async checkQuorum(timeoutMs: number): Promise<void> {
    const { promise: late, reject } = Promise.withResolvers<never>();
    const cancel = this.clock.after(timeoutMs, () => reject(new KvError('timeout')));
    try {
      await Promise.race([this.#reader.point(), late]);
    } finally {
      cancel();
    }
  }

  timings(): StoreTimings {
    return this.#timings;
  }

  counters(): KvCounters {
    const leases = this.#leases.counts();
    return {
      raft: this.#running().counters(),
      proposalsFailed: this.#proposer.failedCount(),
      proposalsPending: this.#requests.size + this.#changes.size,
      leasesGranted: leases.granted,
      leasesRevoked: leases.revoked,
      leasesExpired: leases.expired,
      puts: this.#counts.puts,
      deletes: this.#counts.deletes,
      ranges: this.#keys.counts.ranges,
      txns: this.#counts.txns + this.#keys.counts.txns,
    };
  }

  onSoftState(listener: (state: SoftState) => void): () => void {
    this.#softStateListeners.add(listener);
    return () => this.#softStateListeners.delete(listener);
  }

  #running(): RaftNode {
    // Before Raft runs there is nobody to ask; a moment later there is.
    if (!this.#raft) throw new KvError('noLeader');
    return this.#raft;
  }

  #check(error: KvErrorCode | undefined): void {
    if (this.#stopped.signal.aborted) throw new KvError('stopped');
    if (error) throw new KvError(error);
  }

  /** Once for all that is applied meanwhile: writers do not wait until every watcher of the last write was told. */
  #publishSoon(): void {
    if (this.#isPublishDue) return;
    this.#isPublishDue = true;
    this.clock.after(publishAfterMs, () => {
      this.#isPublishDue = false;
      this.#kv.publish();
    });
  }

  #applied(op: InternalOp, result: ApplyResult): void {
    this.#leases.applied(op, result);
    this.auth.applied(op, result);
    if (!result.ok) return;
    if (op.kind === 'put') this.#counts.puts++;
    else if (op.kind === 'deleteRange') this.#counts.deletes++;
    else if (op.kind === 'txn') this.#counts.txns++;
    // Runs until nothing is left to clean; a compaction during it is cleaned by the same run.
    else if (op.kind === 'compact') {
      const cleaned = this.#upkeep.clean().then(
        () => {
          // Once stopped, the backend may be closed already.
          if (!this.#stopped.signal.aborted) this.#corruption.compacted();
        },
        // What breaks while cleaning has been told to onFatal by the cleaning.
        () => undefined,
      );
      // A hash that cannot be taken of what is here is a broken invariant.
      cleaned.catch((error: unknown) =>
        this.#options.onFatal(error instanceof Error ? error : new Error(String(error))),
      );
    }
  }

  #lead(isLeader: boolean): void {
    this.#leases.setLeading(isLeader);
    this.#upkeep.setLeading(isLeader);
    this.#corruption.setLeading(isLeader);
  }

  #leaderUrls(): readonly string[] | undefined {
    const { leader } = this.#softState;
    if (leader === 0) return undefined;
    const urls = this.#kv.members().get(leader)?.peerUrls;
    return urls && urls.length > 0 ? urls : undefined;
  }
}
