/**
 * The judge: random sequences of requests go to Debian's etcd 3.4 and to Keelson's store, and every answer must be the
 * same field by field, revisions, status codes and texts included. Where etcd 3.6, whose place the store takes, is known
 * to answer otherwise than 3.4, the case is in `differences36` with its reason.
 *
 * A failure names the seed and shows the request. KEELSON_EQUALITY_SEQUENCES=500 runs more sequences than the quick set,
 * KEELSON_EQUALITY_SEED=n begins with seed n.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { anyRequest, compact, Dice, writeRequest, type Known, type Request } from './equality-requests.ts';
import { type Answer, comparable, type Message, Side } from './equality-sides.ts';
import { type AuthStep, authStep, password } from './equality-auth.ts';
import { clusterCases, emptyCases, keyCases, leaseCases, maintenanceCases, newerCases } from './equality-cases.ts';
import { judgeWatches } from './equality-watch.ts';
import { etcdProgram, type StoreCluster, startStoreCluster } from './store-processes.ts';

const sequences = Number(process.env['KEELSON_EQUALITY_SEQUENCES'] ?? 12);
const firstSeed = Number(process.env['KEELSON_EQUALITY_SEED'] ?? 1);
const requestsPerSequence = 80;
const watchConversations = Math.ceil(sequences / 2);
const stepsPerConversation = 30;
const authSequences = Math.ceil(sequences / 4);
const stepsPerAuthSequence = 150;

interface Pair {
  readonly etcd: Side;
  readonly keelson: Side;
}

/** Answers of 3.4 that 3.6 gives otherwise: what is to be compared instead, and why. */
const differences36: readonly {
  readonly why: string;
  /** Of every version. */
  readonly isLasting?: boolean;
  readonly applies: (request: Request, old: Answer) => boolean;
  readonly adapt: (old: Answer, request: Request) => Answer;
}[] = [
  {
    why: 'since 3.5 the answer to Alarm has a whole header',
    applies: (request, old) => request.method === 'Alarm' && 'ok' in old,
    adapt: (old) => ({ ok: { ...(old as { readonly ok: object }).ok, header: 'any' } }),
  },
  {
    why: 'since 3.5 the role root tells that it may do everything, whatever it was granted',
    applies: (request, old) => request.method === 'RoleGet' && request.request['role'] === 'root' && 'ok' in old,
    adapt: (old) => ({
      ok: { ...(old as { readonly ok: object }).ok, perm: [{ permType: 2, rangeEnd: '\0' }] },
    }),
  },
  {
    isLasting: true,
    why: 'etcd makes a member’s id of its addresses and the second it was added in; here a retry within it is told of the address',
    applies: (request, old) => request.method === 'MemberAdd' && isError(old, '9 etcdserver: member ID already exist'),
    adapt: () => ({ error: '9 etcdserver: Peer URLs already exists' }),
  },
];

const txnRefusals = [
  '11 etcdserver: mvcc: required revision has been compacted',
  '11 etcdserver: mvcc: required revision is a future revision',
  '5 etcdserver: requested lease not found',
  '3 etcdserver: key not found',
];
const isTxnRefusal = (answer: Answer) => 'error' in answer && txnRefusals.includes(answer.error);

const isError = (answer: Answer, text: string) => 'error' in answer && answer.error === text;

/** What is asked beside Keelson: 3.4, or a newer one that KEELSON_ETCD names, which then has the last word. */
const isOld = execFileSync(etcdProgram, ['--version']).toString().startsWith('etcd Version: 3.4.');

/** Seconds that remain of a lease, asked of both a moment apart. */
const remainingSecondsTolerance = 2;

/** etcd lists leases by when they end, to the nanosecond; that order says nothing to a client. */
function sortedLeases(answer: Answer): Answer {
  if (!('ok' in answer)) return answer;
  const message = answer.ok as { readonly leases?: readonly { readonly ID: string }[] };
  return { ok: { ...message, leases: [...(message.leases ?? [])].sort((a, b) => a.ID.localeCompare(b.ID)) } };
}

/** etcd keeps alarms in maps. */
function sortedAlarms(answer: Answer): Answer {
  if (!('ok' in answer)) return answer;
  const { alarms, ...rest } = answer.ok as { readonly alarms?: readonly Message[] };
  return { ok: { ...rest, alarms: (alarms ?? []).map((alarm) => JSON.stringify(alarm)).sort() } };
}

/** Members without their ids, and those that run without the addresses that the test gave them. */
function withoutIdentity(answer: Answer): Answer {
  if (!('ok' in answer)) return answer;
  const plain = ({ ID: _, ...member }: Message) =>
    'name' in member ? { ...member, clientURLs: 'any', peerURLs: 'any' } : member;
  const { member, members, ...rest } = answer.ok as {
    readonly member?: Message;
    readonly members?: readonly Message[];
  };
  const sorted = members?.map(plain).sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  return { ok: { ...rest, ...(member ? { member: plain(member) } : {}), ...(sorted ? { members: sorted } : {}) } };
}

/** Said by the gRPC library before the store sees the request; no client matches on it. */
function isTooLargeMessage(answer: Answer): boolean {
  return 'error' in answer && /^8 (grpc: )?received message larger than max/i.test(answer.error);
}

/** What a store says about itself: how it lies on its disk, and how far its log is. */
const ownFigures = new Set([
  'hash',
  'version',
  'dbSize',
  'dbSizeInUse',
  'dbSizeQuota',
  'leader',
  'raftIndex',
  'raftTerm',
  'raftAppliedIndex',
  ...(isOld ? ['hashRevision', 'storageVersion', 'downgradeInfo'] : []),
]);

function withoutFigures(answer: Answer): Answer {
  if (!('ok' in answer)) return answer;
  return { ok: Object.fromEntries(Object.entries(answer.ok as Message).filter(([name]) => !ownFigures.has(name))) };
}

function comparedAnswers(request: Request, old: Answer, own: Answer): readonly [Answer, Answer] {
  const differences = differences36.filter(({ isLasting }) => isOld || isLasting);
  const wanted = differences.find(({ applies }) => applies(request, old))?.adapt(old, request) ?? old;
  // 3.4 looks at the puts of a transaction before its ranges, 3.6 at all of them in order: which error is first differs.
  if (isOld && request.method === 'Txn' && isTxnRefusal(wanted) && isTxnRefusal(own)) return [wanted, wanted];
  if (isTooLargeMessage(wanted) && isTooLargeMessage(own)) return [wanted, wanted];
  if (request.method === 'Alarm' && 'ok' in own) {
    const plain = isOld ? { ok: { ...(own.ok as Message), header: 'any' } } : own;
    return [sortedAlarms(wanted), sortedAlarms(plain)];
  }
  if (['Hash', 'HashKV', 'Status'].includes(request.method)) return [withoutFigures(wanted), withoutFigures(own)];
  if (request.service === 'Cluster') return [withoutIdentity(wanted), withoutIdentity(own)];
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
  // The message stops early: a large value says no more than its beginning.
  const asked = JSON.stringify(comparable(request.request)).slice(0, 4_000);
  assert.deepEqual(got, wanted, `${where}: ${request.service}.${request.method} ${asked}`);
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
      startStoreCluster({ kind: 'etcd', count: 1, flags: ['--bcrypt-cost', '4'] }),
      startStoreCluster({ kind: 'keelson', count: 1, flags: ['--bcrypt-cost', '4'] }),
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

  const judgeCases = (name: string, requests: readonly Request[]) =>
    test(`the edges: ${name}`, async () => {
      const failures: string[] = [];
      for (const [index, request] of requests.entries()) {
        // All of them are tried: one difference should not hide the next.
        await ask(request, `case ${index}`).catch((error: Error) => failures.push(error.message));
      }
      assert.deepEqual(failures, []);
    });

  // Once, while nothing has been written.
  void judgeCases('before anything is there', emptyCases);

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

  void judgeCases('keys', keyCases);
  void judgeCases('leases', leaseCases);
  void judgeCases('members', clusterCases);
  void judgeCases('maintenance', maintenanceCases);
  if (!isOld) void judgeCases('what 3.4 does not know', newerCases);

  test(`users, roles and permissions, ${authSequences} sequences`, async () => {
    for (let seed = firstSeed; seed < firstSeed + authSequences; seed++) {
      const dice = new Dice(seed + 2_000_000);
      const visitors = new Visitors(pair);
      const judged = async (step: AuthStep, where: string) => {
        const [old, own] = await visitors.call(step);
        const asked = JSON.stringify(comparable(step.request.request));
        const what = `${where}: ${step.as} ${step.request.service}.${step.request.method} ${asked}`;
        assert.deepEqual(...comparedAuth(step.request, old, own), what);
      };
      const auth = (method: string, request: Message): AuthStep => ({
        request: { service: 'Auth', method, request },
        as: 'root',
      });
      await judged(auth('UserAdd', { name: 'root', password }), 'before');
      for (let step = 0; step < stepsPerAuthSequence; step++) {
        const where = `auth seed ${seed} step ${step}`;
        // Tokens are got as they are needed, and got again by whoever was added anew.
        if (dice.chance(0.2)) await visitors.enter(dice.one(['root', 'ann', 'bob', 'cat']));
        await judged(authStep(dice, known), where);
      }
      await visitors.enter('root');
      await judged(auth('AuthDisable', {}), 'after');
      for (const name of ['root', 'ann', 'bob', 'cat', 'ghost']) await judged(auth('UserDelete', { name }), 'after');
      for (const role of ['root', 'reader', 'writer', 'all', 'ghost'])
        await judged(auth('RoleDelete', { role }), 'after');
    }
  });
});

/** Who comes with which token, to both. */
class Visitors {
  readonly #pair: Pair;
  #isOn = false;
  readonly #tokens = new Map<string, readonly [etcd: string, keelson: string]>();

  constructor(pair: Pair) {
    this.#pair = pair;
  }

  /** Lets a user in at both; who is refused is refused by both. */
  async enter(name: string): Promise<void> {
    const request = { name, password };
    const [old, own] = await Promise.all(
      [this.#pair.etcd, this.#pair.keelson].map((side) => side.call('Auth', 'Authenticate', request)),
    );
    assert.ok(old && own);
    if ('error' in old || 'error' in own) return assert.deepEqual(own, old, `${name} enters`);
    const tokens = [old, own].map(({ ok }) => (ok as { readonly token: string }).token);
    this.#tokens.set(name, tokens as [string, string]);
  }

  async call({ request, as }: AuthStep): Promise<readonly [Answer, Answer]> {
    const { service, method } = request;
    // While auth is off, 3.4 still minds a token that is wrong; since 3.5 nobody looks at it.
    const known = as === 'wrong token' ? ([as, as] as const) : this.#tokens.get(as);
    const [oldToken, ownToken] = this.#isOn && known ? known : [];
    const [old, own] = await Promise.all([
      this.#pair.etcd.call(service, method, request.request, oldToken),
      this.#pair.keelson.call(service, method, request.request, ownToken),
    ]);
    if ('ok' in old && method === 'AuthEnable') this.#isOn = true;
    if ('ok' in old && method === 'AuthDisable') this.#isOn = false;
    return [old, own];
  }
}

function comparedAuth(request: Request, old: Answer, own: Answer): [Answer, Answer] {
  const [wanted, got] = comparedAnswers(request, old, own);
  if (request.method !== 'Authenticate' || 'error' in wanted || 'error' in got) return [got, wanted];
  const withoutToken = ({ ok }: { readonly ok: unknown }) => ({ ok: { ...(ok as Message), token: 'any' } });
  return [withoutToken(got), withoutToken(wanted)];
}
