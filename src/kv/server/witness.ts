/**
 * What a witness has where other members have their state: who the members are, in memory. It is rebuilt at every start from
 * the log and the last snapshot, which holds nothing else. Requests for data are refused before they come here (kv/rpc).
 */
import { assert } from '../../env/assert.ts';
import { KeelsonError } from '../../env/errors.ts';
import type { ConfChange, ConfState, Entry, EntryKind, Index, SnapshotMeta, StateMachine } from '../../raft/index.ts';
import type { AlarmType, InternalOp } from '../api.ts';
import { createKvState, type KvState } from '../apply/index.ts';
import { membershipSnapshot } from '../apply/membership-snapshot.ts';
import type { Backend } from '../backend/contract.ts';
import { createMemoryBackend } from '../backend/memory.ts';
import type { Alarm } from './contract.ts';
import type { MemberFile } from './data-directory.ts';
import { decodeEntry } from './entry.ts';
import type { StoreMachine } from './state-machine.ts';

/** What a witness applies: everything else is data. */
const membershipOps: ReadonlySet<InternalOp['kind']> = new Set(['memberAttributes', 'clusterVersion']);

export class WitnessMachine implements StateMachine {
  readonly #members: StoreMachine;
  readonly #kv: KvState;

  /** `members` applies what is about members to `kv`. */
  constructor(members: StoreMachine, kv: KvState) {
    this.#members = members;
    this.#kv = kv;
  }

  appliedIndex(): Index {
    return this.#members.appliedIndex();
  }

  apply(entries: readonly Entry[]): void {
    let skipped = 0;
    const passOver = () => {
      if (skipped > this.#kv.consistentIndex()) this.#kv.skip(skipped);
    };
    for (const entry of entries) {
      assert(entry.kind === 'normal', 'membership entries come through applyConfChange');
      if (entry.data.length > 0 && !membershipOps.has(decodeEntry(entry.data).request.op.kind)) {
        skipped = entry.index;
        continue;
      }
      passOver();
      this.#members.apply([entry]);
    }
    passOver();
    assert(this.appliedIndex() === entries.at(-1)?.index, 'every entry was applied or passed over');
  }

  applyConfChange(entry: Entry, change: ConfChange): boolean {
    return this.#members.applyConfChange(entry, change);
  }

  wasChangeTaken(change: ConfChange): boolean {
    return this.#members.wasChangeTaken(change);
  }

  holdsMembership(confState: ConfState): boolean {
    return this.#members.holdsMembership(confState);
  }

  understands(kind: EntryKind, data: Uint8Array): boolean {
    return this.#members.understands(kind, data);
  }

  snapshotCheck() {
    return this.#members.snapshotCheck();
  }

  membershipChanged(confState: ConfState): void {
    this.#members.membershipChanged(confState);
  }

  snapshot(): AsyncIterable<Uint8Array> {
    return membershipSnapshot(this.#kv);
  }

  membershipSnapshot(): AsyncIterable<Uint8Array> {
    return membershipSnapshot(this.#kv);
  }

  restore(meta: SnapshotMeta, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    return this.#members.restore(meta, chunks);
  }

  /** A start builds it again from the newest snapshot and the log after it, which the host keeps. */
  durableIndex(): Index {
    return this.appliedIndex();
  }
}

/** Where a witness keeps its members. */
export function openWitnessState(): { readonly backend: Backend; readonly used: KvState } {
  const backend = createMemoryBackend();
  return { backend, used: createKvState({ backend }) };
}

/**
 * A full disk of a witness concerns nobody else: the full voters are a quorum without it. So it raises no alarm of the
 * cluster; the log says it, and the witness acknowledges nothing until there is space.
 */
export function privateAlarm(memberId: number): {
  readonly alarms: () => readonly Alarm[];
  readonly setAlarm: (action: 'activate' | 'deactivate') => Promise<void>;
} {
  const alarm: AlarmType = 'noSpace';
  let isOn = false;
  return {
    alarms: () => (isOn ? [{ memberId, alarm }] : []),
    setAlarm: async (action) => {
      isOn = action === 'activate';
    },
  };
}

/** A directory is a witness's or a full member's for good: a witness has no data, and a full member has promised to keep some. */
export function checkSameRole(file: Pick<MemberFile, 'isWitness'>, directory: string, isWitness: boolean): void {
  const was = file.isWitness === true;
  if (was === isWitness) return;
  throw new KeelsonError(
    'BAD_CLUSTER',
    was
      ? `use data directory ${directory}: it belongs to a witness, which keeps no data: start it with --witness; for a full member, remove the witness from the cluster and add a member with an empty directory`
      : `use data directory ${directory}: it belongs to a full member, and --witness is given: start it without; for a witness, remove the member from the cluster and start with an empty directory`,
  );
}
