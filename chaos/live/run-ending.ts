/**
 * The end of a run, when faults have ended and clients have stopped: a last write, every member tells all it has, and watches are
 * told all there is. What does not happen in time is a broken promise.
 */
import { InvariantViolation } from '../../src/env/assert.ts';
import { type Clock, pause } from '../../src/env/clock.ts';
import type { KvClient } from '../../src/kv/client/contract.ts';
import type { KeySpace } from './client-perform.ts';
import type { RunJournal } from './run-journal.ts';
import type { RunObserver } from './run-observer.ts';
import type { RunWorld } from './run-target.ts';
import type { LiveClient } from './workload.ts';
import { type OpenWatch, toModelKey } from './workload-watchers.ts';

/** Every member has to answer within this; elections, snapshots and a busy machine included. */
const readyWithinMs = 40_000;
/** Where somebody was not ready before, nobody needs to wait that long to know that he still is not. */
const unreadyWithinMs = 5_000;
const retryMs = 200;
const watchersWithinMs = 20_000;
/** Beyond the numbers of clients. */
const lastClient = 1_000;

export interface EndingOptions {
  readonly world: RunWorld;
  readonly clock: Clock;
  readonly journal: RunJournal;
  readonly observer: RunObserver;
  readonly space: KeySpace;
  readonly nowMs: () => number;
  /** Of one member, or of whoever answers. */
  readonly client: (member: number | undefined) => KvClient;
  readonly worker: (member: number | undefined, number: number) => LiveClient;
  /** The watch of everything at each member, in order. */
  readonly followers: readonly OpenWatch[];
  readonly log: OpenWatch;
  readonly signal: AbortSignal;
  /** Every member had been ready when faults had ended. */
  readonly isReady: boolean;
}

export interface Ending {
  /** The highest revision that anybody named; undefined: nobody answered. */
  readonly headRevision: number | undefined;
  /** What did not happen in time. */
  readonly unready: readonly string[];
}

export async function endRun(options: EndingOptions): Promise<Ending> {
  const { world, worker, followers, log, nowMs, clock, signal } = options;
  const unready: string[] = [];
  const withinMs = options.isReady ? readyWithinMs : unreadyWithinMs;
  const untilMs = nowMs() + withinMs;
  const until = async <Answer>(what: string, ask: () => Promise<Answer | undefined>): Promise<Answer | undefined> => {
    for (;;) {
      const answer = await ask();
      if (answer !== undefined) return answer;
      signal.throwIfAborted();
      if (nowMs() > untilMs) {
        unready.push(`${what} within ${withinMs} ms`);
        return undefined;
      }
      await pause(clock, retryMs, signal);
    }
  };
  const learners = await learnersOf(options);
  let sequence = 0;
  const writer = worker(undefined, lastClient);
  const written = await until('no write was confirmed', () =>
    writer.perform({ kind: 'put', key: 'last', value: `${lastClient}.last.${sequence++}` }),
  );
  const heads = await Promise.all(
    world.members.map(async ({ name }, member) => {
      if (learners.has(member)) return 0;
      const reader = worker(member, lastClient + 1 + member);
      const list = (isLocal: boolean) =>
        until(`${name} did not tell all it has`, () => reader.perform({ kind: 'list', at: 0, isLocal }));
      if ((await list(false)) === undefined) return 0;
      await noteState(name, options.client(member), options);
      return (await list(true))?.revision ?? 0;
    }),
  );
  for (const [member, follower] of followers.entries()) if (learners.has(member)) follower.leave();
  const watches = [log, ...followers];
  if (written !== undefined) {
    const endMs = nowMs() + watchersWithinMs;
    const isBehind = (watch: OpenWatch) => watch.record.isOpen && watch.toldRevision() < written.revision;
    while (watches.some(isBehind) && nowMs() < endMs && !signal.aborted) await pause(clock, 50, signal);
  }
  for (const watch of watches) watch.cancel();
  const head = Math.max(written?.revision ?? 0, ...heads);
  return { headRevision: head === 0 ? undefined : head, unready };
}

/** Who came back as somebody else, and was not made a voter, serves no clients. */
async function learnersOf({ world, observer }: EndingOptions): Promise<ReadonlySet<number>> {
  const states = await world.states();
  const learners = new Set([...states.keys()].filter((member) => states[member]?.state === 'learner'));
  for (const member of learners) observer.say(`${world.members[member]?.name} is a learner, and serves no clients`);
  return learners;
}

/** All that a member holds, as it has it. */
async function noteState(member: string, client: KvClient, { space, journal }: EndingOptions): Promise<void> {
  try {
    const { kvs, revision } = await client.range({ ...space.all(), serializable: true });
    journal.note({ type: 'state', member, revision, keys: kvs.map((kv) => toModelKey(kv, space)) });
  } catch (error) {
    // The list that follows is asked again and again, and says what is wrong.
    if (error instanceof InvariantViolation) throw error;
  }
}
