/** Short words for tests that step one replica of a harness by hand. */
import { toIndex, toReplicaId, toTerm } from '../../src/raft/core/numbers.ts';
import type { ConfChangeStep, Entry, Message, MessageType } from '../../src/raft/core/types.ts';
import { RaftHarness } from './raft-harness.ts';
import { messageOf } from './raft-messages.ts';

export function entry(index: number, term: number): Entry {
  return { index: toIndex(index), term: toTerm(term), kind: 'normal', data: new Uint8Array(8) };
}

/** Everything `id` has to say, with a disk that is done at once. */
export function flush(harness: RaftHarness, id: number): Message[] {
  harness.network = [];
  while (harness.core(id).hasReady()) {
    harness.ready(id);
    harness.persist(id);
  }
  harness.apply(id);
  return harness.network;
}

export function step(harness: RaftHarness, type: MessageType, fields: Record<string, unknown>): void {
  const message = messageOf(type, fields);
  harness.do(message.to, (core) => core.step(message));
}

export function candidate(voters: number): RaftHarness {
  const harness = RaftHarness.of(voters, { preVote: false });
  harness.do(1, (core) => core.campaign());
  flush(harness, 1);
  return harness;
}

export function cutOff(harness: RaftHarness, ...ids: number[]): void {
  harness.isCut = (from, to) => ids.includes(from) || ids.includes(to);
}

export function change(harness: RaftHarness, id: number, ...steps: ConfChangeStep[]): string {
  const result = harness.do(id, (core) => core.proposeConfChange({ steps, context: new Uint8Array(0) }));
  return result.kind === 'dropped' ? result.reason : 'accepted';
}

export const addVoter = (id: number): ConfChangeStep => ({ kind: 'addVoter', replica: toReplicaId(id) });

export const addWitness = (id: number): ConfChangeStep => ({ kind: 'addWitness', replica: toReplicaId(id) });

export const addLearner = (id: number): ConfChangeStep => ({ kind: 'addLearner', replica: toReplicaId(id) });

export const remove = (id: number): ConfChangeStep => ({ kind: 'remove', replica: toReplicaId(id) });
