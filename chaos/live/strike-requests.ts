/** What an operator asks of a member at a bad moment. It may be refused: that is told, not thrown. */
import { InvariantViolation } from '../../src/env/assert.ts';
import { errorText } from '../../src/env/errors.ts';
import type { AnyFault, Deed, FaultOf, StrikeContext } from './strike-context.ts';

/** It may wait for a good moment; it is asked once. */
const operatorTimeoutMs = 10_000;
const wordTimeoutMs = 1_000;

/** Undefined when it is none of these. */
export function strikeRequests(context: StrikeContext, fault: AnyFault): Promise<Deed> | undefined {
  switch (fault.kind) {
    case 'transfer':
      return transfer(context, fault.member);
    case 'defragment':
    case 'hash':
    case 'saveSnapshot':
      return maintain(context, fault);
    default:
      return undefined;
  }
}

async function transfer(context: StrikeContext, member: number): Promise<Deed> {
  const { calls, leader: findLeader } = context.parts;
  const name = context.name(member);
  const leader = await findLeader();
  if (leader === undefined) return { text: `nobody led: leadership did not move to ${name}` };
  if (leader.member === member) return { text: `${name} leads already` };
  const target = await calls.word(member, wordTimeoutMs);
  if (target === undefined) return { text: `${name} does not answer: leadership was not moved to it` };
  const text = `leadership moves from ${context.name(leader.member)} to ${name}`;
  return calls.moveLeader(leader.member, target.memberId, operatorTimeoutMs).then(
    () => ({ text, members: [member] }),
    (error: unknown) => ({ text: `${text}: refused: ${errorText(error)}`, members: [member] }),
  );
}

const asked = { defragment: 'defragment', hash: 'hash its content', saveSnapshot: 'hand out a snapshot' } as const;

async function maintain(
  context: StrikeContext,
  { member, kind }: FaultOf<'defragment' | 'hash' | 'saveSnapshot'>,
): Promise<Deed> {
  const { calls, later } = context.parts;
  const text = `${context.name(member)} is asked to ${asked[kind]}`;
  later.background(() =>
    calls.maintain(member, kind, operatorTimeoutMs).catch((error: unknown) => {
      // A member that is struck at the same time refuses, or does not answer; that is no failure of this world.
      if (error instanceof InvariantViolation || error instanceof TypeError) throw error;
    }),
  );
  return { text, members: [member] };
}
