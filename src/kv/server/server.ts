/** `KvServer` behind its contract: hands each request to the part it is for, and each news of Raft to the parts it concerns. */
import { assert } from '../../env/assert.ts';
import type { Clock } from '../../env/clock.ts';
import type { RaftNode, ReplicaId, SoftState, StateMachine } from '../../raft/index.ts';
import type {
  AlarmType,
  ApplyResult,
  DeleteRangeRequest,
  InternalOp,
  LeaseId,
  PutRequest,
  RangeRequest,
  TxnRequest,
  WatchRequest,
} from '../api.ts';
import type { KvState } from '../apply/index.ts';
import { KvError } from '../errors.ts';
import type { Watcher, WatchSink } from '../mvcc/contract.ts';
import type { From } from './auth-contract.ts';
import type { AuthKeeper } from './auth-keeper.ts';
import type { Autopilot } from './autopilot.ts';
import type { Alarm, KvCounters, KvServer, KvServerLimits, KvStatus, MemberJoin, MemberMove } from './contract.ts';
import { assembleParts, type StoreParts } from './parts.ts';
import type { KvServerOptions } from './server-options.ts';
import { StoreMachine } from './state-machine.ts';
import { readSucceeded } from './succession.ts';
import type { StoreTimings } from './timings.ts';
import { hexId } from './upkeep.ts';
import { etcdVersion } from './version.ts';
import { WitnessMachine } from './witness.ts';

/** What many watchers wait for is gathered this long; to one of a thousand it makes no difference. */
const publishAfterMs = 1;

export class StoreServer implements KvServer {
  readonly clusterId: number;
  readonly memberId: number;
  readonly clock: Clock;
  readonly limits: KvServerLimits;
  readonly electionMs: number;
  readonly auth: AuthKeeper;
  /** What Raft drives. */
  readonly machine: StateMachine;
  readonly #options: KvServerOptions;
  readonly #kv: KvState;
  readonly #parts: StoreParts;
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
    this.#parts = assembleParts(options, {
      electionMs: this.electionMs,
      raft: () => this.#raft,
      isLeader: () => this.#softState.role === 'leader',
      leaderUrls: () => this.#leaderUrls(),
      stopped: this.#stopped.signal,
    });
    const { auth, requests, changes, timings } = this.#parts;
    this.auth = auth;
    const machine = new StoreMachine({
      timed: { clock: env.clock, timings },
      memberId,
      kv,
      requests,
      changes,
      learnersMax: options.limits.learnersMax,
      onApplied: (op, result) => this.#applied(op, result),
      onUnpublished: () => this.#publishSoon(),
      onMembers: options.onMembers,
      onRestored: () => this.#cleanRest(),
      onRemoved: options.onRemoved,
      ...(options.slowApplyMs === undefined
        ? {}
        : { slow: { clock: env.clock, log: env.log, thresholdMs: options.slowApplyMs } }),
    });
    this.machine = options.isWitness === true ? new WitnessMachine(machine, kv) : machine;
  }

  /** Raft runs from now on: `softStateChanged` may have been called already. */
  attach(raft: RaftNode): void {
    assert(!this.#raft, 'a member has one Raft replica');
    this.#raft = raft;
    this.#lead(this.#softState.role === 'leader');
    this.#cleanRest();
  }

  /** Resolves once the cluster knows this member; it serves clients from then on. */
  publish(): Promise<void> {
    return this.#parts.upkeep.publish(this.#stopped.signal);
  }

  /** Raft's onSoftState. */
  softStateChanged(state: SoftState): void {
    const before = this.#softState;
    this.#softState = state;
    const { log } = this.#options.env;
    if (state.leader !== before.leader) {
      if (state.leader === 0) log.info('lost leader', { 'local-member-id': hexId(this.memberId) });
      else log.info('elected leader', { 'local-member-id': hexId(this.memberId), leader: hexId(state.leader) });
      this.#parts.leaseKeeper.leaderChanged();
    }
    if (this.#raft && (state.role === 'leader') !== (before.role === 'leader')) this.#lead(state.role === 'leader');
    for (const listener of this.#softStateListeners) listener(state);
  }

  /** Hands leadership on when it can, then turns everybody away. Raft itself is stopped by its owner. */
  async stop(): Promise<void> {
    if (this.#stopped.signal.aborted) return;
    await this.handLeadershipOn();
    this.#stopped.abort(new KvError('stopped'));
    this.#parts.reader.stop();
    this.#parts.upkeep.stop();
    this.#parts.corruption.stop();
    this.#parts.leaseKeeper.stop();
    this.auth.close();
    this.#parts.requests.failAll('stopped');
    this.#parts.changes.failAll('stopped');
  }

  range(request: RangeRequest, from?: From) {
    return this.#parts.keys.range(request, from);
  }

  put(request: PutRequest, from?: From) {
    return this.#parts.keys.put(request, from);
  }

  deleteRange(request: DeleteRangeRequest, from?: From) {
    return this.#parts.keys.deleteRange(request, from);
  }

  txn(request: TxnRequest, from?: From) {
    return this.#parts.keys.txn(request, from);
  }

  compact(revision: number, isPhysical: boolean, from?: From) {
    return this.#parts.keys.compact(revision, isPhysical, from);
  }

  watch(request: WatchRequest, sink: WatchSink): Watcher {
    return this.#kv.watch(request, sink);
  }

  watchRefusal(request: WatchRequest, from?: From) {
    return this.auth.watchRefusal(request, from);
  }

  leaseGrant(id: LeaseId, ttlSeconds: number, from?: From) {
    return this.#parts.leases.grant(id, ttlSeconds, from);
  }

  leaseRevoke(id: LeaseId, from?: From) {
    return this.#parts.leases.revoke(id, from);
  }

  leaseKeepAlive(id: LeaseId, signal: AbortSignal, from?: From) {
    return this.#parts.leases.keepAlive(id, signal, from);
  }

  leaseTimeToLive(id: LeaseId, withKeys: boolean, signal: AbortSignal, from?: From) {
    return this.#parts.leases.timeToLive(id, withKeys, signal, from);
  }

  leases(from?: From) {
    return this.#parts.leases.all(from);
  }

  members(isLinearizable: boolean) {
    return this.#parts.cluster.list(isLinearizable);
  }

  memberAdd(peerUrls: readonly string[], isLearner: boolean) {
    return this.#parts.cluster.add(peerUrls, isLearner);
  }

  memberRemove(id: number) {
    return this.#parts.cluster.remove(id);
  }

  memberUpdate(id: number, peerUrls: readonly string[]) {
    return this.#parts.cluster.update(id, peerUrls);
  }

  memberPromote(id: number, signal: AbortSignal) {
    return this.#parts.cluster.promote(id, signal);
  }

  succeeds(): Promise<readonly number[]> {
    return readSucceeded(this.#options.env.disk, this.#options.directory);
  }

  memberJoin(request: MemberJoin): Promise<number> {
    return this.#parts.membership.join(request);
  }

  memberMove(request: MemberMove): Promise<void> {
    return this.#parts.membership.move(request);
  }

  /** As Upkeep.hasRaisedAlarm. */
  hasRaisedAlarm(): boolean {
    return this.#parts.upkeep.hasRaisedAlarm();
  }

  alarms(): readonly Alarm[] {
    return this.#kv.alarms();
  }

  setAlarm(action: 'activate' | 'deactivate', memberId: number, alarm: AlarmType) {
    return this.#parts.maintenance.setAlarm(action, memberId, alarm);
  }

  moveLeader(to: number): Promise<void> {
    return this.#parts.leadership.moveTo(to);
  }

  /** Moves leadership to the member that is furthest, when this one leads. */
  handLeadershipOn(): Promise<void> {
    return this.#parts.leadership.handOn();
  }

  defragment() {
    return this.#parts.maintenance.defragment();
  }

  snapshot() {
    return this.#parts.maintenance.snapshot();
  }

  /** Rejects with CORRUPT when it is to be checked and another member's data differs; for before it serves. */
  checkAtStart(): Promise<void> {
    return this.#parts.corruption.checkAtStart();
  }

  /** What the leader does every so often: compares everybody's data at the head, and raises the alarm. */
  checkCorruption(): Promise<void> {
    return this.#parts.corruption.check();
  }

  peerHash(revision: number) {
    return this.#parts.corruption.hashAt(revision);
  }

  hashKv(revision: number) {
    return this.#parts.maintenance.hashKv(revision);
  }

  position() {
    return {
      revision: this.#kv.revision(),
      term: this.#raft?.term() ?? 0,
      leader: this.#softState.leader as number,
      isLearner: this.#kv.members().get(this.memberId)?.isLearner ?? false,
      isWitness: this.#options.isWitness === true,
    };
  }

  /** Who decides about the membership, for the status. */
  setAutopilot(autopilot: Pick<Autopilot, 'status'>): void {
    this.#autopilot = autopilot;
  }

  status(): KvStatus {
    const raft = this.#parts.running().status();
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
      hasAutopilot: this.#autopilot !== undefined,
      ...(autopilot === undefined ? {} : { autopilot }),
    };
  }

  async checkQuorum(timeoutMs: number): Promise<void> {
    const { promise: late, reject } = Promise.withResolvers<never>();
    const cancel = this.clock.after(timeoutMs, () => reject(new KvError('timeout')));
    try {
      await Promise.race([this.#parts.reader.point(), late]);
    } finally {
      cancel();
    }
  }

  timings(): StoreTimings {
    return this.#parts.timings;
  }

  counters(): KvCounters {
    const leases = this.#parts.leaseKeeper.counts();
    return {
      raft: this.#parts.running().counters(),
      proposalsFailed: this.#parts.proposer.failedCount(),
      proposalsPending: this.#parts.requests.size + this.#parts.changes.size,
      leasesGranted: leases.granted,
      leasesRevoked: leases.revoked,
      leasesExpired: leases.expired,
      puts: this.#counts.puts,
      deletes: this.#counts.deletes,
      ranges: this.#parts.keys.counts.ranges,
      txns: this.#counts.txns + this.#parts.keys.counts.txns,
    };
  }

  onSoftState(listener: (state: SoftState) => void): () => void {
    this.#softStateListeners.add(listener);
    return () => this.#softStateListeners.delete(listener);
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
    this.#parts.leaseKeeper.applied(op, result);
    this.auth.applied(op, result);
    if (!result.ok) return;
    if (op.kind === 'put') this.#counts.puts++;
    else if (op.kind === 'deleteRange') this.#counts.deletes++;
    else if (op.kind === 'txn') this.#counts.txns++;
    else if (op.kind === 'compact') this.#clean();
  }

  /** What was left when the member stopped before it had cleaned up, or of whoever sent a snapshot. */
  #cleanRest(): void {
    if (this.#kv.hasToClean()) this.#clean();
  }

  /** Runs until nothing is left to clean; a compaction during it is cleaned by the same run. */
  #clean(): void {
    const cleaned = this.#parts.upkeep.clean().then(
      () => this.#parts.corruption.compacted(),
      // What breaks while cleaning has been told to onFatal by the cleaning.
      () => undefined,
    );
    // A hash that cannot be taken of what is here is a broken invariant.
    cleaned.catch((error: unknown) => this.#options.onFatal(error instanceof Error ? error : new Error(String(error))));
  }

  #lead(isRaftLeader: boolean): void {
    // A witness only leads until somebody with data takes over: it expires no leases and compacts nothing.
    const isLeader = isRaftLeader && this.#options.isWitness !== true;
    this.#parts.leaseKeeper.setLeading(isLeader);
    this.#parts.upkeep.setLeading(isLeader);
    this.#parts.corruption.setLeading(isLeader);
  }

  #leaderUrls(): readonly string[] | undefined {
    const { leader } = this.#softState;
    if (leader === 0) return undefined;
    const member = this.#kv.members().get(leader);
    // A witness hands leadership to somebody who can answer.
    return member && member.peerUrls.length > 0 && member.isWitness !== true ? member.peerUrls : undefined;
  }
}
