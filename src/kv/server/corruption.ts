/**
 * Whose data is wrong: pure decisions over the hashes that members give of the same revision. The rules are etcd's; only
 * what is certain counts, as a wrong alarm stops the whole cluster.
 *
 * A hash covers everything kept at `revision` after compaction up to `compactRevision`: two of them can be compared only
 * when both are equal.
 */
import { assert } from '../../env/assert.ts';

export interface StoreHash {
  readonly hash: number;
  readonly compactRevision: number;
  /** What was hashed. */
  readonly revision: number;
}

/** What another member says. */
export interface PeerHash extends StoreHash {
  readonly memberId: number;
  /** Its newest revision when it was asked. */
  readonly headRevision: number;
}

/** Members whose data at the same revision is other than this one's. */
export function differingPeers(own: StoreHash, peers: readonly PeerHash[]): readonly number[] {
  return peers.filter((peer) => isComparable(own, peer) && peer.hash !== own.hash).map((peer) => peer.memberId);
}

export interface LeaderView {
  readonly memberId: number;
  /** Of the revision that the peers were asked about. */
  readonly before: StoreHash;
  /** Taken after the peers had answered and a quorum had confirmed that this member leads. */
  readonly after: StoreHash;
}

/** Members that are wrong, as the leader sees it when it looks from time to time. */
export function corruptMembers({ memberId, before, after }: LeaderView, peers: readonly PeerHash[]): readonly number[] {
  assert(after.revision >= before.revision, 'revisions grow');
  const corrupt = new Set<number>();
  // Nothing was written meanwhile, and yet the leader's own data reads otherwise than a moment before.
  const isSame = after.revision === before.revision && after.compactRevision === before.compactRevision;
  if (isSame && after.hash !== before.hash) corrupt.add(memberId);
  for (const peer of peers) {
    // Nobody can know revisions that the leader, confirmed after they answered, does not know.
    if (peer.headRevision > after.revision || peer.compactRevision > after.compactRevision) corrupt.add(peer.memberId);
    if (isComparable(before, peer) && peer.hash !== before.hash) corrupt.add(peer.memberId);
  }
  return [...corrupt];
}

export type Verdict =
  /** All who could be asked have the same. */
  | { readonly kind: 'equal' }
  | { readonly kind: 'corrupt'; readonly members: readonly number[] }
  /** They differ, and no majority says who is right. */
  | { readonly kind: 'undecided' };

/** Compares the hashes of one compaction. `memberCount` is that of the whole cluster: a majority of it decides. */
export function compactionVerdict(
  own: StoreHash & { readonly memberId: number },
  peers: readonly PeerHash[],
  memberCount: number,
): Verdict {
  const comparable = [own, ...peers.filter((peer) => isComparable(own, peer))];
  assert(comparable.length <= memberCount, 'no more members answer than there are');
  const byHash = new Map<number, number[]>();
  for (const { hash, memberId } of comparable) byHash.set(hash, [...(byHash.get(hash) ?? []), memberId]);
  if (byHash.size === 1) return { kind: 'equal' };
  const majority = [...byHash].find(([, members]) => members.length > memberCount / 2);
  if (!majority) return { kind: 'undecided' };
  const members = [...byHash].filter(([hash]) => hash !== majority[0]).flatMap(([, ids]) => ids);
  return { kind: 'corrupt', members };
}

function isComparable(a: StoreHash, b: StoreHash): boolean {
  return a.revision === b.revision && a.compactRevision === b.compactRevision;
}
