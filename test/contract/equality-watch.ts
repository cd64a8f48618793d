/**
 * Random conversations on one watch stream, held with two stores at once. How events are cut into messages is a matter of
 * timing and not compared; what each watch is told, in which order, and how watches begin and end, is.
 */
import assert from 'node:assert/strict';
import { type Dice, key, type Known, rangeEnd } from './equality-requests.ts';
import type { Conversation, Message } from './equality-sides.ts';

/** etcd looks after watches that are behind every 100 ms. */
const catchUpMs = 250;

/** What one watch was told. */
interface Told {
  readonly events: Message[];
  /** Creation and end, without what differs by timing. */
  readonly turns: Message[];
}

function toldOf(answers: readonly Message[]): Readonly<Record<string, Told>> {
  const all: Record<string, Told> = {};
  for (const answer of answers) {
    const id = String(answer['watchId'] ?? '0');
    const told = (all[id] ??= { events: [], turns: [] });
    const { events, ...turn } = answer;
    if (events !== undefined) {
      assert.equal(turn['created'], undefined, 'a creation carries no events');
      told.events.push(...(events as Message[]));
    } else told.turns.push(turn);
  }
  return all;
}

function liveIds(answers: readonly Message[]): readonly string[] {
  const live = new Set<string>();
  for (const answer of answers) {
    const id = String(answer['watchId'] ?? '0');
    if (answer['created'] && !answer['canceled']) live.add(id);
    else if (answer['canceled']) live.delete(id);
  }
  return [...live];
}

function createRequest(dice: Dice, known: Known): Message {
  const roll = dice.next();
  const startRevision =
    roll < 0.4
      ? 0
      : roll < 0.8
        ? Math.max(1, known.revision - dice.integer(0, 15))
        : roll < 0.9
          ? known.revision + 2
          : 1;
  return {
    key: key(dice),
    rangeEnd: rangeEnd(dice),
    startRevision,
    prevKv: dice.chance(0.4),
    filters: dice.one([[], [], [], [0], [1], [0, 1]]),
    watchId: dice.chance(0.6) ? 0 : dice.integer(1, 5),
    fragment: dice.chance(0.2),
  };
}

export interface Talk {
  readonly etcd: Conversation;
  readonly keelson: Conversation;
  /** Writes something to both stores and compares the answers. */
  write(): Promise<void>;
  compact(): Promise<void>;
}

const turnsOf = (answers: readonly Message[]) => answers.filter((answer) => answer['events'] === undefined).length;

/** Holds one conversation of `steps` steps and judges it at the end. */
export async function judgeWatches(dice: Dice, known: Known, talk: Talk, steps: number, where: string): Promise<void> {
  const both = [talk.etcd, talk.keelson] as const;
  const sent: Message[] = [];
  const send = async (request: Message, isAnswered: boolean) => {
    sent.push(request);
    const before = both.map((side) => turnsOf(side.answers));
    for (const side of both) side.send(request);
    if (!isAnswered) return;
    for (const [index, side] of both.entries()) {
      const wasAnswered = await side.until(() => turnsOf(side.answers) > (before[index] as number));
      assert.ok(wasAnswered, `${where}: ${index === 0 ? 'etcd' : 'Keelson'} answers ${listed(sent)}`);
    }
  };
  for (let step = 0; step < steps; step++) {
    const roll = dice.next();
    if (roll < 0.3) await send({ createRequest: createRequest(dice, known) }, true);
    else if (roll < 0.36) {
      await caughtUp(talk, where, sent);
      const live = liveIds(talk.etcd.answers);
      const watchId = live.length > 0 && dice.chance(0.8) ? dice.one(live) : '99';
      await send({ cancelRequest: { watchId } }, live.includes(watchId));
    } else if (roll < 0.38) {
      await caughtUp(talk, where, sent);
      await talk.compact();
    } else await talk.write();
  }
  await settled(talk, where, sent);
  // With a watch that was compacted away, or has not begun, the versions of etcd answer differently or not at all.
  const isPlain = sent.every((request) => startOf(request) <= known.revision);
  const wasCompacted = talk.etcd.answers.some((answer) => answer['compactRevision'] !== undefined);
  if (liveIds(talk.etcd.answers).length > 0 && isPlain && !wasCompacted) {
    // 3.6 passes a request over while a watch is behind.
    await caughtUp(talk, where, sent);
    await send({ progressRequest: {} }, true);
    await settled(talk, where, sent);
  }
  // A client that has no more to ask still hears what is written.
  for (const side of both) side.end();
  await talk.write();
  await settled(talk, where, sent);
  for (const side of both) side.cancel();
  assert.deepEqual(toldOf(talk.keelson.answers), toldOf(talk.etcd.answers), `${where} ${listed(sent)}`);
}

/** Waits until both have told the same; what is still different after the time given is the failure. */
async function settled(talk: Talk, where: string, sent: readonly Message[]): Promise<void> {
  const [old, own] = [talk.etcd, talk.keelson];
  const texts = () => [toldOf(old.answers), toldOf(own.answers)].map((told) => JSON.stringify(sortedTold(told)));
  const isSame = () => {
    const [a, b] = texts();
    return a === b;
  };
  if (await own.until(isSame, 3_000)) return;
  assert.deepEqual(toldOf(own.answers), toldOf(old.answers), `${where} ${listed(sent)}`);
}

function listed(sent: readonly Message[]): string {
  return sent.map((request) => JSON.stringify(request, (_, value) => textOfBuffer(value))).join('\n');
}

/**
 * etcd takes a tenth of a second to look at a watch that starts in the past; neither a cancellation nor a compaction must
 * come between. Nothing tells that it has looked when there was nothing to tell, so this waits for time to pass.
 */
async function caughtUp(talk: Talk, where: string, sent: readonly Message[]): Promise<void> {
  await talk.etcd.until(() => false, catchUpMs);
  await settled(talk, where, sent);
}

function sortedTold(told: Readonly<Record<string, Told>>): unknown {
  const canonical = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(canonical);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([name, field]) => [name, canonical(field)]),
    );
  };
  return canonical(told);
}

function startOf(request: Message): number {
  return Number((request['createRequest'] as Message | undefined)?.['startRevision'] ?? 0);
}

function textOfBuffer(value: unknown): unknown {
  const isBuffer = typeof value === 'object' && value !== null && 'type' in value && value.type === 'Buffer';
  return isBuffer ? Buffer.from((value as unknown as { data: number[] }).data).toString('latin1') : value;
}
