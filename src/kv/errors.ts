/** etcd's errors: gRPC status code and text for every KvErrorCode. Client libraries match on the text (etcd api/v3rpc/rpctypes). */
import { KeelsonError } from '../env/errors.ts';
import type { KvErrorCode } from './api.ts';

type Row = readonly [status: number, text: string];

export const kvErrors: Readonly<Record<KvErrorCode, Row>> = {
  emptyKey: [3, 'etcdserver: key is not provided'],
  keyNotFound: [3, 'etcdserver: key not found'],
  valueProvided: [3, 'etcdserver: value is provided'],
  leaseProvided: [3, 'etcdserver: lease is provided'],
  tooManyOps: [3, 'etcdserver: too many operations in txn request'],
  duplicateKey: [3, 'etcdserver: duplicate key given in txn request'],
  invalidSortOption: [3, 'etcdserver: invalid sort option'],
  compacted: [11, 'etcdserver: mvcc: required revision has been compacted'],
  futureRevision: [11, 'etcdserver: mvcc: required revision is a future revision'],
  noSpace: [8, 'etcdserver: mvcc: database space exceeded'],
  leaseNotFound: [5, 'etcdserver: requested lease not found'],
  leaseExists: [9, 'etcdserver: lease already exists'],
  leaseTtlTooLarge: [11, 'etcdserver: too large lease TTL'],
  requestTooLarge: [3, 'etcdserver: request is too large'],
  tooManyRequests: [8, 'etcdserver: too many requests'],
  noLeader: [14, 'etcdserver: no leader'],
  notLeader: [9, 'etcdserver: not leader'],
  leaderChanged: [14, 'etcdserver: leader changed'],
  timeout: [14, 'etcdserver: request timed out'],
  timeoutLeaderTransfer: [14, 'etcdserver: request timed out, leader transfer took too long'],
  stopped: [14, 'etcdserver: server stopped'],
  unhealthy: [14, 'etcdserver: unhealthy cluster'],
  corrupt: [15, 'etcdserver: corrupt cluster'],
  memberNotFound: [5, 'etcdserver: member not found'],
  memberExists: [9, 'etcdserver: member ID already exist'],
  peerUrlExists: [9, 'etcdserver: Peer URLs already exists'],
  memberIdRemoved: [9, 'etcdserver: the member has been permanently removed from the cluster'],
  tooManyLearners: [9, 'etcdserver: too many learner members in cluster'],
  learnerNotReady: [9, 'etcdserver: can only promote a learner member which is in sync with leader'],
  memberNotLearner: [9, 'etcdserver: can only promote a learner member'],
  notEnoughStartedMembers: [9, 'etcdserver: re-configuration failed due to not enough started members'],
  badPeerUrls: [3, 'etcdserver: given member URLs are invalid'],
  badLeaderTransferee: [9, 'etcdserver: bad leader transferee'],
  notSupportedForLearner: [9, 'etcdserver: rpc not supported for learner'],
  // Ours: etcd has no witnesses.
  notSupportedForWitness: [
    14,
    'etcdserver: rpc not supported for witness: this member votes and keeps no data; ask another member (etcdctl member list names them)',
  ],
  tooManyWitnesses: [
    9,
    'etcdserver: re-configuration failed: a cluster with witnesses needs two full voters, and no fewer than witnesses; add a full member first, or remove a witness',
  ],
  downgradeVersionFormat: [3, 'etcdserver: wrong downgrade target version format'],
  downgradeVersion: [3, 'etcdserver: invalid downgrade target version'],
  // Ours: etcd would begin here.
  downgradeNotPossible: [
    9,
    'etcdserver: not capable: this store has one format only; take a snapshot (etcdctl snapshot save) and restore it with the older etcd',
  ],
  notCapable: [9, 'etcdserver: not capable'],
  rootUserMissing: [9, 'etcdserver: root user does not exist'],
  rootRoleMissing: [9, 'etcdserver: root user does not have root role'],
  userExists: [9, 'etcdserver: user name already exists'],
  userEmpty: [3, 'etcdserver: user name is empty'],
  userNotFound: [9, 'etcdserver: user name not found'],
  roleExists: [9, 'etcdserver: role name already exists'],
  roleNotFound: [9, 'etcdserver: role name not found'],
  roleEmpty: [3, 'etcdserver: role name is empty'],
  authFailed: [3, 'etcdserver: authentication failed, invalid user ID or password'],
  // The next three have no status of the protocol: etcd answers UNKNOWN with these words of its own and its libraries'.
  passwordNotWanted: [2, 'auth: authentication failed, password was given for no password user'],
  passwordTooLong: [3, 'bcrypt: password length exceeds 72 bytes'],
  tokenVerifyOnly: [2, 'auth: token signing attempted with verify-only key'],
  permissionNotGiven: [3, 'etcdserver: permission not given'],
  permissionDenied: [7, 'etcdserver: permission denied'],
  roleNotGranted: [9, 'etcdserver: role is not granted to the user'],
  permissionNotGranted: [9, 'etcdserver: permission is not granted to the role'],
  authNotEnabled: [9, 'etcdserver: authentication is not enabled'],
  invalidAuthToken: [16, 'etcdserver: invalid auth token'],
  invalidAuthManagement: [3, 'etcdserver: invalid auth management'],
  authOldRevision: [3, 'etcdserver: revision of auth store is old'],
};

/** A KvErrorCode on its way to a client. */
export class KvError extends KeelsonError {
  override readonly name = 'KvError';
  readonly kv: KvErrorCode;
  constructor(kv: KvErrorCode, options?: { cause?: unknown }) {
    super(kv, kvErrors[kv][1], options);
    this.kv = kv;
  }
  get grpcStatus(): number {
    return kvErrors[this.kv][0];
  }
}
