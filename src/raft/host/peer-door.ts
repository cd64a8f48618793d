/**
 * Who may speak to this member: who belongs to the same cluster, means this member, and comes with the key that its id is
 * known by. The reasons are for the logs of both sides.
 */
import { grpcStatus } from '../../rpc/grpc-status.ts';
import type { Call, StatusError } from '../../rpc/service.ts';
import type { ReplicaId } from '../core/types.ts';
import type { PeerIdentities, RefusedAs } from './contract.ts';
import { acceptHeader } from './grpc-wire.ts';
import { callKeysOf, encodeRefusal, type ReadField, refusalTexts } from './grpc-words.ts';

/** More ids than members a cluster ever has; whoever makes up more is not remembered. */
const keysSeenMax = 4096;

export interface PeerDoorOptions {
  readonly clusterId: string;
  readonly selfId: ReplicaId;
  /** What the others know this member by. Absent: nobody checks. */
  readonly key?: string;
  /** Somebody looks for another data directory under this member's id. */
  readonly mistaken: (by: ReplicaId) => void;
  /** For the log. */
  readonly refused: (who: {
    readonly from: string | ReplicaId;
    readonly address: string;
    readonly reason: string;
  }) => void;
}

const fieldsOf =
  (call: Call): ReadField =>
  (name) =>
    call.metadata(name)[0];

export function refusalOfPeer(from: ReplicaId, as: RefusedAs): StatusError {
  const details = `member ${from}: ${refusalTexts[as]}`;
  return { code: grpcStatus.failedPrecondition, details, metadata: encodeRefusal(as) };
}

export class PeerDoor {
  readonly #options: PeerDoorOptions;
  #identities: PeerIdentities = { keys: new Map(), removed: new Set() };
  /** The first key that each id came with, until the member table says: nobody changes it while this process runs. */
  readonly #keysSeen = new Map<ReplicaId, string>();

  constructor(options: PeerDoorOptions) {
    this.#options = options;
  }

  setIdentities(identities: PeerIdentities): void {
    this.#identities = identities;
  }

  keyOf(peer: ReplicaId): string | undefined {
    return this.#identities.keys.get(peer) ?? this.#keysSeen.get(peer);
  }

  /** Why this id may not speak with this key; undefined when it may. */
  refusalOf(from: ReplicaId, key: string | undefined): RefusedAs | undefined {
    if (this.#identities.removed.has(from)) return 'removed';
    // A member that tells no key is of a version that has none: its id is all there is to go by, unless it has told one.
    if (key === undefined) return this.#identities.keys.has(from) ? 'otherKey' : undefined;
    const known = this.keyOf(from);
    if (known !== undefined && known !== key) return 'otherKey';
    if (this.#keysSeen.has(from) || this.#keysSeen.size < keysSeenMax) this.#keysSeen.set(from, key);
    return undefined;
  }

  /** The caller's id and key, or what it is told. */
  let(call: Call): { readonly from: ReplicaId; readonly key: string | undefined } | StatusError {
    const { clusterId, selfId, key } = this.#options;
    const read = fieldsOf(call);
    const accepted = acceptHeader(read, { clusterId, id: selfId });
    if ('reason' in accepted) {
      const { reason, ...who } = accepted;
      this.#options.refused({ ...who, address: call.peer, reason });
      return { code: grpcStatus.failedPrecondition, details: reason };
    }
    const { from } = accepted;
    const keys = callKeysOf(read);
    // The caller looks for another data directory: nothing it says is meant for this one, which was wiped.
    if (keys.to !== undefined && key !== undefined && keys.to !== key) {
      this.#options.mistaken(from);
      return { code: grpcStatus.failedPrecondition, details: `member ${selfId} has another data directory now` };
    }
    const refusedAs = this.refusalOf(from, keys.from);
    if (refusedAs === undefined) return { from, key: keys.from };
    this.#options.refused({ from, address: call.peer, reason: refusalTexts[refusedAs] });
    return refusalOfPeer(from, refusedAs);
  }
}
