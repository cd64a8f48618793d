/**
 * Whether a message from another member can be true, given what this replica knows. The core believes what an honest member
 * may say and asserts the rest; a lie is the network's business, so it is refused here and breaks no invariant.
 *
 * Pure. What no member by itself can know (a log said to be longer than it is, entries acknowledged that are not on disk) is
 * not found: Raft trusts its members in these, which is why members show certificates and keys.
 */
import { assert, InvariantViolation, unreachable } from '../../env/assert.ts';
import { assertConfState } from '../core/conf-change.ts';
import { decodeConfChange } from '../core/conf-change-codec.ts';
import type { ConfChange, ConfState, EntryKind, Message, Standing } from '../core/types.ts';

/**
 * Numbers end at 2^53. A term near it, once believed, could never be followed by the next election's; so up to half of them
 * any term is believed, and above only one that elections can have reached since (a million of them: a day, at ten a second).
 * Terms below are not compared with the own one: a member that was led astray must be able to take the others with it.
 */
const farTerm = 2 ** 52;
const termStepMax = 2 ** 20;
const farIndex = 2 ** 52;

/**
 * Bytes of one forwarded proposal. It must fit a message to every other member, or the log could never be replicated again;
 * the largest message is 32 MiB, and what is around the data takes far less than a thousandth of it.
 */
export const proposalBytesMax = 31 * 1024 * 1024;

/** Whether the state machine could carry out what somebody proposes; of a membership change it is asked about the context. */
export type Understands = (kind: EntryKind, data: Uint8Array) => boolean;

/** Why `message` cannot be true; undefined when it can. The texts are few: they are counted. */
export function faultOf(message: Message, own: Standing, understands: Understands = () => true): string | undefined {
  assert(own.committed <= own.lastIndex || own.hasLost, 'what is committed is in the log');
  assert(message.from > 0, 'a message is from somebody');
  if (message.term > Math.max(farTerm, own.term + termStepMax)) return 'a term that no election can have reached';
  // A voter that has never voted refuses a pre-vote in the term before the first.
  if (message.term === 0 && message.type !== 'preVoteResp') return 'a message of no term';
  // Of an earlier term the core only reads who speaks.
  if (message.term < own.term) return undefined;
  switch (message.type) {
    case 'app':
      return secondLeader(message, own) ?? appendFault(message);
    case 'heartbeat':
      return secondLeader(message, own) ?? commitFault(message, own);
    case 'snap':
      return secondLeader(message, own) ?? snapshotFault(message);
    case 'appResp': {
      const isToMe = own.role === 'leader' && message.term === own.term;
      return isToMe && !message.reject && message.index > own.lastIndex
        ? 'entries acknowledged that are not there'
        : undefined;
    }
    case 'heartbeatResp': {
      const isToMe = own.role === 'leader' && message.term === own.term;
      return isToMe && message.readContext > own.readRoundLast ? 'an answer to a round that was not opened' : undefined;
    }
    case 'vote':
    case 'preVote':
      return message.lastTerm >= message.term ? 'a log of the term that is not decided yet' : undefined;
    case 'timeoutNow':
      return timeoutFault(message, own);
    case 'prop':
      return proposalFault(message, own, understands);
    case 'readIndex':
      return message.context === 0 ? 'a read without a name' : undefined;
    case 'transferLeader':
      return message.transferee === 0 ? 'leadership for nobody' : undefined;
    case 'voteResp':
    case 'preVoteResp':
    case 'readIndexResp':
      return undefined;
    default:
      return unreachable(message);
  }
}

/** One leader per term (Raft 5.2). */
function secondLeader(message: Message, own: Standing): string | undefined {
  if (message.term > own.term) return undefined;
  assert(message.term === own.term, 'earlier terms were looked at before');
  const isSecond = own.role === 'leader' || (own.leader !== 0 && own.leader !== message.from);
  return isSecond ? 'a second leader in one term' : undefined;
}

function appendFault(message: Message & { type: 'app' }): string | undefined {
  let { prevIndex: index, prevTerm: term } = message as { prevIndex: number; prevTerm: number };
  if (index === 0 && term > 0) return 'entries after one that cannot be';
  for (const entry of message.entries) {
    if (entry.index !== index + 1) return 'entries that do not follow each other';
    if (entry.term < term || entry.term === 0) return 'entries whose terms go back';
    if (entry.kind === 'confChange' && !changeOf(entry.data)) return 'a membership change that cannot be read';
    ({ index, term } = entry);
  }
  return term > message.term ? 'entries of a later term than their leader' : undefined;
}

/** A leader names what this replica acknowledged; only who lost its log by damage may have less, and knows it. */
function commitFault(message: Message & { type: 'heartbeat' }, own: Standing): string | undefined {
  return message.commit > own.lastIndex && !own.hasLost ? 'a commit index beyond the end of this log' : undefined;
}

function snapshotFault({ snapshot, term, from, to }: Message & { type: 'snap' }): string | undefined {
  if (snapshot.index === 0 || snapshot.index > farIndex) return 'a snapshot at an index that cannot be';
  if (snapshot.term > term) return 'a snapshot of a later term than its leader';
  if (!isMembership(snapshot.confState)) return 'a membership that cannot be';
  const { witnesses = [] } = snapshot.confState;
  return witnesses.includes(from) && !witnesses.includes(to) ? 'a snapshot of who keeps no state' : undefined;
}

function timeoutFault(message: Message & { type: 'timeoutNow' }, own: Standing): string | undefined {
  // It comes after this replica acknowledged everything, in the same term and to the same leader.
  if (message.term > own.term) return 'leadership handed over by who does not lead';
  return own.leader !== 0 && own.leader !== message.from ? 'leadership handed over by who does not lead' : undefined;
}

function proposalFault(
  message: Message & { type: 'prop' },
  own: Standing,
  understands: Understands,
): string | undefined {
  if (message.entries.length === 0) return 'a proposal of nothing';
  if (own.role !== 'leader') return undefined;
  let bytes = 0;
  for (const { kind, data } of message.entries) {
    bytes += data.length;
    const content = kind === 'confChange' ? changeOf(data)?.context : data;
    if (content === undefined) return 'a membership change that cannot be read';
    // Once committed it would stop every member, at each of its starts.
    if (!understands(kind, content)) return 'a proposal that nobody could apply';
  }
  return bytes > proposalBytesMax ? 'a proposal that could not be sent on' : undefined;
}

function changeOf(data: Uint8Array): ConfChange | undefined {
  return unlessBroken(() => decodeConfChange(data));
}

function isMembership(conf: ConfState): boolean {
  const everyone = [...conf.voters, ...conf.votersOutgoing, ...conf.learners, ...conf.learnersNext];
  if (conf.voters.length === 0 || everyone.some((id) => id === 0)) return false;
  return (
    unlessBroken(() => {
      assertConfState(conf);
      return conf;
    }) !== undefined
  );
}

/** The rules are written down once, as what the core asserts of its own. */
function unlessBroken<T>(rules: () => T): T | undefined {
  try {
    return rules();
  } catch (error) {
    if (error instanceof InvariantViolation) return undefined;
    throw error;
  }
}
