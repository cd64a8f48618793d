/** Raft messages for tests: every type with harmless fields, and one line of text for each. */
import { noIndex, nobody, noTerm, toReplicaId, toTerm } from '../../src/raft/core/numbers.ts';
import type { Message, MessageType } from '../../src/raft/core/types.ts';
import { confStateOf, describeConf, describeEntry } from './raft-harness.ts';

/** The rest of `fields` over harmless defaults. */
export function messageOf<T extends MessageType>(
  type: T,
  fields: Readonly<Record<string, unknown>>,
): Extract<Message, { type: T }> {
  const none = { index: noIndex, term: noTerm };
  const defaults: Record<MessageType, object> = {
    app: { prevIndex: noIndex, prevTerm: noTerm, entries: [], commit: noIndex },
    appResp: { index: noIndex, reject: false, hintIndex: noIndex, hintTerm: noTerm },
    heartbeat: { commit: noIndex, readContext: 0 },
    heartbeatResp: { readContext: 0 },
    vote: { lastIndex: noIndex, lastTerm: noTerm, isTransfer: false },
    preVote: { lastIndex: noIndex, lastTerm: noTerm, isTransfer: false },
    voteResp: { reject: false },
    preVoteResp: { reject: false },
    snap: { snapshot: { ...none, confState: confStateOf([1, 2, 3]) } },
    timeoutNow: {},
    prop: { entries: [] },
    readIndex: { context: 1 },
    readIndexResp: { context: 1, index: noIndex },
    transferLeader: { transferee: nobody },
  };
  const addressed = { from: toReplicaId(2), to: toReplicaId(1), term: toTerm(0) };
  return { type, ...addressed, ...defaults[type], ...fields } as unknown as Extract<Message, { type: T }>;
}

/** One line: who, to whom, what, in which term. */
export function describeMessage(message: Message): string {
  return `${message.from}->${message.to} ${message.type} t${message.term}${describeFields(message)}`;
}

function describeFields(message: Message): string {
  switch (message.type) {
    case 'app': {
      const entries = message.entries.length === 0 ? '' : ` [${message.entries.map(describeEntry).join(', ')}]`;
      return ` after ${message.prevIndex}/${message.prevTerm} commit ${message.commit}${entries}`;
    }
    case 'appResp':
      if (message.reject) return ` rejects ${message.index} hint ${message.hintIndex}/${message.hintTerm}`;
      return ` holds ${message.index}`;
    case 'heartbeat':
      return ` commit ${message.commit}${message.readContext > 0 ? ` read round ${message.readContext}` : ''}`;
    case 'heartbeatResp':
      return message.readContext > 0 ? ` read round ${message.readContext}` : '';
    case 'vote':
    case 'preVote':
      return ` last ${message.lastIndex}/${message.lastTerm}${message.isTransfer ? ' transfer' : ''}`;
    case 'voteResp':
    case 'preVoteResp':
      if (message.committed === undefined) return message.reject ? ' refused' : ' granted';
      return ` refused, committed ${message.committed.index}/${message.committed.term}`;
    case 'snap':
      return ` ${message.snapshot.index}/${message.snapshot.term} ${describeConf(message.snapshot.confState)}`;
    case 'timeoutNow':
      return '';
    case 'prop':
      return ` ${message.entries.length} entries`;
    case 'readIndex':
      return ` read ${message.context}`;
    case 'readIndexResp':
      return ` read ${message.context} at ${message.index}`;
    case 'transferLeader':
      return ` to ${message.transferee}`;
  }
}
