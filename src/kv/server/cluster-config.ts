/**
 * Who the first members of a cluster are, from `--initial-cluster`, and the ids that follow from it. Every member
 * computes the same ids from the same flags, so that no two need to talk before Raft starts.
 */
import { createHash } from 'node:crypto';
import { assert } from '../../env/assert.ts';
import { KeelsonError } from '../../env/errors.ts';
import { areWitnessesCovered } from '../../raft/index.ts';
import type { Member } from '../api.ts';
import { fullVotersMin } from './full-voters.ts';

export interface InitialMember {
  readonly name: string;
  readonly peerUrls: readonly string[];
  /** Votes and keeps no data; absent for everybody else. */
  readonly isWitness?: boolean;
}

/** Parses `name=url,name=url`; a name that occurs again adds a URL. Sorted by name. */
export function parseInitialCluster(text: string): readonly InitialMember[] {
  const urlsByName = new Map<string, string[]>();
  for (const part of text.split(',').filter((item) => item !== '')) {
    const equals = part.indexOf('=');
    const name = part.slice(0, equals);
    const url = part.slice(equals + 1);
    if (equals <= 0 || !isUrl(url)) {
      throw new KeelsonError(
        'BAD_CLUSTER',
        `--initial-cluster: ${JSON.stringify(part)}: want name=http(s)://host:port`,
      );
    }
    const urls = urlsByName.get(name) ?? [];
    urlsByName.set(name, urls);
    if (urls.includes(url)) throw new KeelsonError('BAD_CLUSTER', `--initial-cluster: ${url} occurs twice`);
    urls.push(url);
  }
  const members = [...urlsByName].map(([name, peerUrls]) => ({ name, peerUrls: peerUrls.sort() }));
  const allUrls = members.flatMap((member) => member.peerUrls);
  if (new Set(allUrls).size !== allUrls.length) {
    throw new KeelsonError('BAD_CLUSTER', '--initial-cluster: two members share a peer URL');
  }
  return members.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** True for `http(s)://host:port` and `unix(s)://path`. */
export function isUrl(text: string): boolean {
  if (/^unixs?:\/\/[^,]+$/.test(text)) return true;
  if (!/^https?:\/\/[^/]+:\d+\/?$/.test(text)) return false;
  return URL.canParse(text);
}

/** 53 bits of SHA-256: enough to never collide, and exact as a JavaScript number. Never 0, which means nobody. */
function shortHash(parts: readonly string[]): number {
  const hash = createHash('sha256');
  // Length first, so that no two lists of parts read the same.
  for (const part of parts) hash.update(`${part.length}:${part}`);
  const id = Number(hash.digest().readBigUInt64BE(0) >> 11n);
  assert(Number.isSafeInteger(id), 'a hash of 53 bits is a safe integer');
  return id === 0 ? 1 : id;
}

/** A member's id. `salt` is empty for the first members and random for one that is added later. */
export function memberIdOf(peerUrls: readonly string[], token: string, salt = ''): number {
  assert(peerUrls.length > 0, 'a member has a peer URL');
  return shortHash(['member', token, salt, ...[...peerUrls].sort()]);
}

/** Founders that disagree about who is a witness are not of one cluster. */
export function clusterIdOf(memberIds: readonly number[], token: string, witnessIds: readonly number[] = []): number {
  assert(memberIds.length > 0, 'a cluster has a member');
  assert(
    witnessIds.every((id) => memberIds.includes(id)),
    'witnesses are members',
  );
  const sorted = (ids: readonly number[]) => [...ids].sort((a, b) => a - b).map(String);
  const witnesses = witnessIds.length === 0 ? [] : ['witnesses', ...sorted(witnessIds)];
  return shortHash(['cluster', token, ...sorted(memberIds), ...witnesses]);
}

/** The first members as the store's table holds them. Their client URLs come when they publish themselves. */
export function bootstrapMembers(members: readonly InitialMember[], token: string): readonly Member[] {
  // The name comes with the client URLs: a member without one has not started yet.
  return members.map(({ peerUrls, isWitness }) => ({
    id: memberIdOf(peerUrls, token),
    name: '',
    peerUrls,
    clientUrls: [],
    isLearner: false,
    ...(isWitness === true && { isWitness }),
  }));
}

/** The first members, those named in `--initial-cluster-witnesses` as witnesses. */
export function withWitnesses(
  members: readonly InitialMember[],
  witnesses: readonly string[],
): readonly InitialMember[] {
  for (const name of witnesses) {
    if (members.some((member) => member.name === name)) continue;
    throw new KeelsonError(
      'BAD_CLUSTER',
      `--initial-cluster-witnesses: ${JSON.stringify(name)} is not in --initial-cluster: name members of it`,
    );
  }
  const count = new Set(witnesses).size;
  const full = members.length - count;
  if (count > 0 && (full < fullVotersMin || !areWitnessesCovered(full, count))) {
    throw new KeelsonError(
      'BAD_CLUSTER',
      `--initial-cluster-witnesses: ${count} of ${members.length} members: a cluster with witnesses needs two full members, and no fewer than witnesses`,
    );
  }
  return members.map((member) => (witnesses.includes(member.name) ? { ...member, isWitness: true } : member));
}
