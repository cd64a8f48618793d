/**
 * The judge: random sequences of requests go to Debian's etcd 3.4 and to Keelson's store, and every answer must be the
 * same field by field, revisions, status codes and texts included. Where etcd 3.6, whose place the store takes, is known
 * to answer otherwise than 3.4, the case is in `differences36` with its reason.
 *
 * A failure names the seed and shows the request. KEELSON_EQUALITY_SEQUENCES=500 runs more sequences than the quick set,
 * KEELSON_EQUALITY_SEED=n begins with seed n.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { anyRequest, compact, Dice, writeRequest, type Known, type Request } from './equality-requests.ts';
import { type Answer, comparable, type Message, Side } from './equality-sides.ts';
import { judgeWatches } from './equality-watch.ts';
import { type StoreCluster, startStoreCluster } from './store-processes.ts';

const sequences = Number(process.env['KEELSON_EQUALITY_SEQUENCES'] ?? 12);
const firstSeed = Number(process.env['KEELSON_EQUALITY_SEED'] ?? 1);
const requestsPerSequence = 80;
const watchConversations = Math.ceil(sequences / 2);
const stepsPerConversation = 30;

interface Pair {
  readonly etcd: Side;
  readonly keelson: Side;
}

/** Answers of 3.4 that 3.6 gives otherwise: what is to be compared instead, and why. */
const differences36: readonly {
  readonly why: string;
  readonly applies: (request: Request, old: Answer) => boolean;
  readonly adapt: (old: Answer, request: Request) => Answer;
}[] = [];

/** Seconds that remain of a lease, asked of both a moment apart. */
const remainingSecondsTolerance = 2;

/** etcd lists leases by when they end, to the nanosecond; that order says nothing to a client. */
function sortedLeases(answer: Answer): Answer {
  if (!('ok' in answer)) return answer;
  const message = answer.ok as { readonly leases?: readonly { readonly ID: string }[] };
  return { ok: { ...message, leases: [...(message.leases ?? [])].sort((a, b) => a.ID.localeCompare(b.ID)) } };
}

function comparedAnswers(request: Request, old: Answer, own: Answer): readonly [Answer, Answer] {
  const difference = differences36.find(({ applies }) => applies(request, old));
  const wanted = difference ? difference.adapt(old, request) : old;
  if (request.method === 'LeaseLeases') return [sortedLeases(wanted), sortedLeases(own)];
  if (request.method !== 'LeaseTimeToLive' || !('ok' in wanted) || !('ok' in own)) return [wanted, own];
  const [a, b] = [wanted.ok as Message, own.ok as Message];
  const isClose = Math.abs(Number(a['TTL'] ?? 0) - Number(b['TTL'] ?? 0)) <= remainingSecondsTolerance;
  if (!isClose) return [wanted, own];
  // etcd keeps a lease's keys in a map, whose order is a dice of its own.
  const plain = (answer: Message) => ({
    ok: { ...answer, TTL: 'close', keys: [...((answer['keys'] ?? []) as string[])].sort() },
  });
  return [plain(a), plain(b)];
}

async function judge(pair: Pair, request: Request, where: string): Promise<Answer> {
  const [old, own] = await Promise.all([
    pair.etcd.call(request.service, request.method, request.request),
    pair.keelson.call(request.service, request.method, request.request),
  ]);
  const [wanted, got] = comparedAnswers(request, old, own);
  assert.deepEqual(
    got,
    wanted,
    `${where}: ${request.service}.${request.method} ${JSON.stringify(comparable(request.request))}`,
  );
  return own;
}

function revisionOf(answer: Answer): number | undefined {
  if (!('ok' in answer)) return undefined;
  const header = (answer.ok as { readonly header?: Message }).header;
  return header?.['revision'] === undefined ? undefined : Number(header['revision']);
}

describe('Keelson answers as etcd does', () => {
  let clusters: readonly StoreCluster[] = [];
  let pair: Pair;
  const known: Known = { revision: 1 };

  before(async () => {
    clusters = await Promise.all([
      startStoreCluster({ kind: 'etcd', count: 1 }),
      startStoreCluster({ kind: 'keelson', count: 1 }),
    ]);
    const [etcd, keelson] = clusters.map((cluster) => new Side(cluster.endpoints[0] as string));
    pair = { etcd: etcd as Side, keelson: keelson as Side };
  });
  after(async () => {
    pair?.etcd.close();
    pair?.keelson.close();
    await Promise.all(clusters.map((cluster) => cluster.stop()));
  });

  const ask = async (request: Request, where: string) => {
    const answer = await judge(pair, request, where);
    known.revision = Math.max(known.revision, revisionOf(answer) ?? 0);
    return answer;
  };

  test(`keys, transactions, compactions and leases, ${sequences} sequences`, async () => {
    for (let seed = firstSeed; seed < firstSeed + sequences; seed++) {
      const dice = new Dice(seed);
      for (let step = 0; step < requestsPerSequence; step++) {
        await ask(anyRequest(dice, known), `seed ${seed} step ${step}`);
      }
    }
  });

  test(`watches, ${watchConversations} conversations`, async () => {
    for (let seed = firstSeed; seed < firstSeed + watchConversations; seed++) {
      const dice = new Dice(seed + 1_000_000);
      const where = `watch seed ${seed}`;
      const talk = {
        etcd: pair.etcd.stream('Watch', 'Watch'),
        keelson: pair.keelson.stream('Watch', 'Watch'),
        write: async () => void (await ask(writeRequest(dice, known), where)),
        compact: async () =>
          void (await ask({ service: 'KV', method: 'Compact', request: compact(dice, known) }, where)),
      };
      await judgeWatches(dice, known, talk, stepsPerConversation, where);
    }
  });
});
