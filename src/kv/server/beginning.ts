/**
 * Who a member without data is: a founder, one that was added, or one that comes back as a new one. Decided from the flags
 * and by asking the cluster, before anything is written.
 *
 *   new        a founder; its id follows from the flags
 *   existing   it was added with its peer URL, and asks the others for its id
 *   rejoin     it was removed or lost its data: the others take it in anew, as a learner with another id
 */
import { assert } from '../../env/assert.ts';
import { sleep } from '../../env/clock.ts';
import type { Env } from '../../env/env.ts';
import { errorText, KeelsonError } from '../../env/errors.ts';
import type { ConfState, ReplicaId } from '../../raft/index.ts';
import type { Member } from '../api.ts';
import type { KvState } from '../apply/index.ts';
import { bootstrapMembers, clusterIdOf, type InitialMember, withWitnesses } from './cluster-config.ts';
import type { MemberJoin } from './contract.ts';
import { type MemberFile, readAbandoned } from './data-directory.ts';
import type { MemberKey } from './member-key.ts';

/** What an existing cluster tells a member that joins it. */
export interface JoinInfo {
  readonly clusterId: number;
  readonly members: readonly Member[];
  /** No quorum has said so: it is what one member knows. */
  readonly isUnconfirmed?: boolean;
  /** Clusters that this one was made out of after they were lost (succession.ts). */
  readonly succeeds?: readonly number[];
}

export type AskToJoin = (
  peerUrls: readonly string[],
  join: MemberJoin,
) => Promise<JoinInfo & { readonly memberId: number }>;

export interface BeginningOptions {
  readonly env: Pick<Env, 'clock' | 'disk' | 'log'>;
  readonly directory: string;
  readonly name: string;
  readonly peerUrls: readonly string[];
  readonly initialCluster: readonly InitialMember[];
  readonly token: string;
  /** `existing`: this member was added to a running cluster, which `join` asks. */
  readonly state: 'new' | 'existing';
  readonly join: (peerUrls: readonly string[]) => Promise<JoinInfo>;
  readonly askToJoin?: AskToJoin;
  /** Removed, or without its data: come back as a new member. */
  readonly rejoin?: boolean;
  /** This member votes and keeps no data (witness.ts). As a founder it is one in `initialCluster`, too. */
  readonly isWitness?: boolean;
}

export type NewMember = Omit<MemberFile, 'formatVersion'>;

/** The old identity may first have to be seen as gone by the leader, and a learner before it be promoted. */
const rejoinLimitMs = 60_000;
const rejoinRetryMs = 1_000;

/** `--initial-cluster` as the member file holds it. */
export function clusterPairs({ initialCluster }: Pick<BeginningOptions, 'initialCluster'>): readonly string[] {
  return initialCluster.flatMap(({ name, peerUrls }) => peerUrls.map((url) => `${name}=${url}`)).sort();
}

/** The member's own line of `--initial-cluster`. Rejects flags that contradict each other, before anything is touched. */
export function ownEntryOf(options: BeginningOptions): InitialMember {
  const { initialCluster, name, peerUrls } = options;
  const own = initialCluster.find((member) => member.name === name);
  if (!own) {
    throw new KeelsonError(
      'BAD_CLUSTER',
      `couldn't find local name ${JSON.stringify(name)} in the initial cluster configuration ${JSON.stringify(clusterPairs(options).join(','))}: give --name and --initial-cluster that fit`,
    );
  }
  if (own.peerUrls.join(',') !== [...peerUrls].sort().join(',')) {
    throw new KeelsonError(
      'BAD_CLUSTER',
      `--initial-cluster has ${name}=${own.peerUrls.join(',')} but --initial-advertise-peer-urls is ${peerUrls.join(',')}: they must be the same`,
    );
  }
  return own;
}

function witnessesOf({ initialCluster }: Pick<BeginningOptions, 'initialCluster'>): readonly string[] {
  return initialCluster.filter((member) => member.isWitness === true).map((member) => member.name);
}

/** Who this member is from now on. `key` is the directory's, which is otherwise empty. */
export async function decideBeginning(options: BeginningOptions, key: MemberKey): Promise<NewMember> {
  const own = ownEntryOf(options);
  const abandoned = options.rejoin === true ? await readAbandoned(options.env.disk, options.directory) : undefined;
  const file = await (abandoned === undefined
    ? options.state === 'new'
      ? founder(options, own)
      : joiner(options, own, key)
    : askIn(options, key, abandoned.memberId));
  return options.isWitness === true ? { ...file, isWitness: true } : file;
}

function founder(options: BeginningOptions, own: InitialMember): NewMember {
  const { initialCluster, token, isWitness = false } = options;
  if ((own.isWitness === true) !== isWitness) {
    throw new KeelsonError(
      'BAD_CLUSTER',
      isWitness
        ? `found a cluster with ${own.name} as a witness: --initial-cluster-witnesses does not name it: name it there, on every founder alike`
        : `found a cluster: --initial-cluster-witnesses names ${own.name}, which is started without --witness: give it`,
    );
  }
  const members = bootstrapMembers(initialCluster, token);
  const self = members.find((member) => member.peerUrls.join(',') === own.peerUrls.join(','));
  assert(self, 'a member of the initial cluster has an id');
  const memberIds = members.map((member) => member.id);
  const witnessIds = members.filter((member) => member.isWitness === true).map((member) => member.id);
  const clusterId = clusterIdOf(memberIds, token, witnessIds);
  const initialWitnesses = witnessIds.length === 0 ? {} : { initialWitnesses: witnessesOf(options) };
  return { token, initialCluster: clusterPairs(options), memberId: self.id, clusterId, ...initialWitnesses };
}

async function joiner(options: BeginningOptions, own: InitialMember, key: MemberKey): Promise<NewMember> {
  const { clusterId, members } = await options.join(othersOf(options));
  const self = members.find((member) => own.peerUrls.every((url) => member.peerUrls.includes(url)));
  // A witness needs no data first, so nobody has to add it by hand: it asks, and votes at once.
  if (!self && (options.rejoin === true || options.isWitness === true)) return askIn(options, key, 0);
  if (!self) {
    throw new KeelsonError(
      'BAD_CLUSTER',
      `join the cluster as ${own.peerUrls.join(',')}: no member has this peer URL: add it first with etcdctl member add`,
    );
  }
  if (self.key !== undefined && self.key !== key.publicKey) {
    if (options.rejoin === true) return askIn(options, key, self.id);
    throw new KeelsonError(
      'MEMBER_WIPED',
      `join the cluster as member ${self.id.toString(16)}: it has been started before with another data directory, which held its votes: ` +
        'give that directory, or start with --rejoin to come back as a new member',
    );
  }
  if ((self.isWitness === true) !== (options.isWitness === true)) {
    throw new KeelsonError(
      'BAD_CLUSTER',
      self.isWitness === true
        ? `join the cluster as member ${self.id.toString(16)}: it is a witness there: start it with --witness`
        : `join the cluster as member ${self.id.toString(16)}: it was added as a full member, and --witness is given: remove it (etcdctl member remove), a witness asks to be added by itself`,
    );
  }
  return { token: options.token, initialCluster: clusterPairs(options), memberId: self.id, clusterId };
}

/** Asks until the cluster takes this member in, for as long as an operator would wait. */
async function askIn(options: BeginningOptions, key: MemberKey, replaces: number): Promise<NewMember> {
  const { askToJoin, peerUrls, token, isWitness = false } = options;
  const { clock, log } = options.env;
  if (askToJoin === undefined) throw new KeelsonError('CANNOT_JOIN', 'rejoin the cluster: there is no way to ask it');
  const untilMs = clock.monotonicMs() + rejoinLimitMs;
  for (;;) {
    try {
      const request = { peerUrls, key: key.publicKey, replaces, isWitness };
      const { clusterId, memberId } = await askToJoin(othersOf(options), request);
      assert(memberId !== replaces, 'who rejoins is a new member');
      const as = isWitness ? 'a witness' : 'a learner until it is promoted';
      log.info(`taken in as a new member, ${as}`, { memberId: memberId.toString(16) });
      return { token, initialCluster: clusterPairs(options), memberId, clusterId, hasRejoined: true };
    } catch (error) {
      if (clock.monotonicMs() >= untilMs) throw error;
      log.warn('not taken in yet, asking again', { error: errorText(error) });
      await sleep(clock, rejoinRetryMs);
    }
  }
}

/** Peer URLs of everybody else in `--initial-cluster`. */
export function othersOf({ initialCluster, name }: BeginningOptions): readonly string[] {
  const others = initialCluster.filter((member) => member.name !== name).flatMap((member) => member.peerUrls);
  if (others.length > 0) return others;
  throw new KeelsonError(
    'BAD_CLUSTER',
    'join a running cluster: --initial-cluster names no other member to ask: name at least one',
  );
}

/**
 * Whom a member without a log knows: the founders, or the members of the cluster it joins. It must know them before the
 * leader's snapshot tells it, as it could not answer otherwise.
 */
export async function introduce(
  options: BeginningOptions,
  file: NewMember,
  kv: KvState,
): Promise<ConfState | undefined> {
  const isFounder = options.state === 'new' && file.hasRejoined !== true;
  const members = isFounder
    ? bootstrapMembers(options.initialCluster, options.token)
    : (await options.join(othersOf(options))).members;
  for (const member of members) kv.setMember(member);
  await kv.sync();
  return isFounder ? confStateOf(members) : undefined;
}

/**
 * The same beside a log that is there, for a state that is begun anew: what it replays from entry 1 began with the founders as
 * they were then. Others have a snapshot in their log; until that is read they know whom they can ask.
 */
export async function introduceAgain(options: BeginningOptions, file: MemberFile, kv: KvState): Promise<void> {
  const { initialWitnesses = [] } = file;
  const founders = bootstrapMembers(withWitnesses(fromPairs(file.initialCluster), initialWitnesses), file.token);
  const isFounder = file.hasRejoined !== true && founders.some(({ id }) => id === file.memberId);
  let members: readonly Member[] = founders;
  if (!isFounder) {
    try {
      ({ members } = await options.join(othersOf(options)));
    } catch (error) {
      options.env.log.warn('nobody told who belongs to the cluster', { error: errorText(error) });
      return;
    }
  }
  for (const member of members) kv.setMember(member);
  await kv.sync();
}

/** The inverse of `clusterPairs`. */
function fromPairs(pairs: readonly string[]): readonly InitialMember[] {
  const urls = new Map<string, string[]>();
  for (const pair of pairs) {
    const at = pair.indexOf('=');
    assert(at > 0, () => `${pair} is a name and a URL`);
    urls.set(pair.slice(0, at), [...(urls.get(pair.slice(0, at)) ?? []), pair.slice(at + 1)]);
  }
  return [...urls].map(([name, peerUrls]) => ({ name, peerUrls }));
}

function confStateOf(founders: readonly Member[]): ConfState {
  const idsOf = (members: readonly Member[]) => members.map(({ id }) => id as ReplicaId).sort((a, b) => a - b);
  const witnesses = idsOf(founders.filter((member) => member.isWitness === true));
  const simple = { votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false };
  return { voters: idsOf(founders), ...simple, ...(witnesses.length > 0 && { witnesses }) };
}
