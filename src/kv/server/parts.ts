/** The parts of one member's server, each made with those it needs. */
import { assert } from '../../env/assert.ts';
import type { RaftNode } from '../../raft/index.ts';
import type { ApplyResult, KvErrorCode } from '../api.ts';
import { KvError } from '../errors.ts';
import { SnapshotExporter } from '../snapshot/exporter.ts';
import { AuthKeeper } from './auth-keeper.ts';
import { ClusterRequests } from './cluster-requests.ts';
import { CorruptionMonitor } from './corruption-monitor.ts';
import { KeyRequests } from './key-requests.ts';
import { LeaseKeeper } from './lease-keeper.ts';
import { LeaseRequests } from './lease-requests.ts';
import { Leadership } from './leadership.ts';
import { Maintenance } from './maintenance.ts';
import { Membership } from './membership.ts';
import { Proposer } from './proposer.ts';
import { LinearizableReader } from './reader.ts';
import type { KvServerOptions } from './server-options.ts';
import type { ChangeOutcome } from './state-machine.ts';
import { StoreTimings } from './timings.ts';
import { Upkeep } from './upkeep.ts';
import { Waiters } from './waiters.ts';

/** etcd's: five seconds, and time for two elections in between. */
const requestTimeoutMs = 5_000;
/** etcd's. */
const healthyAfterMsDefault = 5_000;

const noCorruptionChecks = {
  checks: { isCheckedAtStart: false, checkEveryMs: 0, compactionHashEveryMs: 0 },
  askHash: () => Promise.reject(new KvError('notCapable')),
};

/** What the parts ask of the server they belong to, each time anew. */
export interface PartsHost {
  readonly electionMs: number;
  /** Undefined before Raft runs. */
  readonly raft: () => RaftNode | undefined;
  readonly isLeader: () => boolean;
  /** Undefined while there is no leader. */
  readonly leaderUrls: () => readonly string[] | undefined;
  /** Aborts when the member stops. */
  readonly stopped: AbortSignal;
}

export type StoreParts = ReturnType<typeof assembleParts>;

export function assembleParts(options: KvServerOptions, host: PartsHost) {
  const { kv, memberId, clusterId, limits } = options;
  const { clock, random, log, disk } = options.env;
  const { electionMs, raft, isLeader, leaderUrls, stopped } = host;
  assert(electionMs > 0, 'an election takes time');
  const running = () => {
    const node = raft();
    // Before Raft runs there is nobody to ask; a moment later there is.
    if (!node) throw new KvError('noLeader');
    return node;
  };
  const check = (error: KvErrorCode | undefined) => {
    if (stopped.aborted) throw new KvError('stopped');
    if (error) throw new KvError(error);
  };
  const timeoutMs = requestTimeoutMs + 2 * electionMs;
  const timings = new StoreTimings();
  const requests = new Waiters<ApplyResult>(clock);
  const changes = new Waiters<ChangeOutcome>(clock);
  const proposer = new Proposer({
    clock,
    random,
    memberId,
    raft,
    requests,
    changes,
    timeoutMs,
    requestBytesMax: limits.requestBytesMax,
  });
  const reader = new LinearizableReader(clock, raft, timeoutMs, timings);
  const leaseKeeper = new LeaseKeeper({
    clock,
    random,
    log,
    kv,
    proposer,
    reader,
    proxy: options.proxy,
    leaderUrls,
    minTtlSeconds: Math.ceil((1.5 * electionMs) / 1000),
    checkpointEveryMs: options.leaseCheckpointEveryMs,
    timeoutMs,
  });
  const membership = new Membership({
    kv,
    random,
    proposer,
    raft: running,
    token: options.token,
    clusterId,
    log,
    learnersMax: limits.learnersMax,
    isStrict: options.isStrictReconfiguration,
    clock,
    connectedSinceMs: options.connectedSinceMs,
    healthyAfterMs: options.healthyAfterMs ?? healthyAfterMsDefault,
  });
  const upkeep = new Upkeep({
    clock,
    log,
    kv,
    proposer,
    memberId,
    name: options.name,
    clientUrls: options.clientUrls,
    ...(options.memberKey === undefined ? {} : { memberKey: options.memberKey }),
    quotaBytes: limits.quotaBytes,
    compaction: options.compaction,
    ...(options.cleaning === undefined ? {} : { cleaning: options.cleaning }),
    bytesOnDisk: () => kv.bytesOnDisk(),
    timings,
    onFatal: options.onFatal,
  });
  const maintenance = new Maintenance({
    clock,
    kv,
    proposer,
    reader,
    upkeep,
    exporter: new SnapshotExporter(disk, options.directory),
    timings,
    stopped,
    raft: running,
    check,
  });
  const corruption = new CorruptionMonitor({
    clock,
    log,
    kv,
    stopped,
    memberId,
    clusterId,
    // A witness has nothing to compare.
    ...((options.isWitness === true ? undefined : options.corruption) ?? noCorruptionChecks),
    confirm: () => reader.point(),
    raise: (id) => maintenance.setAlarm('activate', id, 'corrupt'),
  });
  const auth = new AuthKeeper({ log, kv, proposer, reader, ...options.auth });
  const keys = new KeyRequests({ kv, proposer, reader, upkeep, auth, txnOpsMax: limits.txnOpsMax, check });
  const leases = new LeaseRequests({ kv, leases: leaseKeeper, reader, upkeep, auth, timings, stopped, check });
  const cluster = new ClusterRequests({ membership, reader, proxy: options.proxy, isLeader, leaderUrls });
  const leadership = new Leadership({ clock, memberId, electionMs, raft, connectedSinceMs: options.connectedSinceMs });
  return {
    timings,
    requests,
    changes,
    proposer,
    reader,
    leaseKeeper,
    membership,
    upkeep,
    maintenance,
    corruption,
    auth,
    keys,
    leases,
    cluster,
    leadership,
    running,
  };
}
