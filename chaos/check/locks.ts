/**
 * Locks of a distributed system, which can only keep their word together with what they guard: who was paused may believe he
 * holds a lock that has gone to somebody else. So a lock hands out fencing tokens that grow, and what it guards refuses an older
 * token once it has seen a newer one.
 *
 *   with tokens     they grow in real time, none is given twice, and what is accepted never comes with an older one than
 *                   what had been accepted before
 *   without tokens  nothing refuses the late writer, so no two may hold the lock at once: this fails on every lock that ends
 *                   by time, and is meant to
 */
import { type Evidence, type Exchange, exchangesOf } from './evidence.ts';
import { type Finding, notApplicable, passed } from './finding.ts';
import { Violation } from './violation.ts';

type LockExchange = ReturnType<typeof exchangesOf<'lockAcquire' | 'lockRelease' | 'lockedWrite'>>[number];

/** Throws Violation. */
export function checkLocks(evidence: Evidence): Finding {
  const exchanges = exchangesOf(evidence, 'lockAcquire', 'lockRelease', 'lockedWrite');
  if (exchanges.length === 0) return notApplicable('nobody took a lock');
  const locks = Map.groupBy(exchanges, ({ operation }) => operation.lock);
  for (const [lock, own] of locks) {
    checkTokens(lock, own);
    checkWrites(lock, own);
    checkAlone(lock, own);
  }
  return passed(`${exchanges.length} operations on ${locks.size} locks`);
}

interface Tokened {
  readonly exchange: LockExchange;
  readonly token: number;
}

function checkTokens(lock: string, exchanges: readonly LockExchange[]): void {
  const tokened = exchanges.flatMap((exchange): readonly Tokened[] => {
    const { outcome } = exchange;
    return outcome?.kind === 'lockAcquire' && outcome.token !== undefined ? [{ exchange, token: outcome.token }] : [];
  });
  const given = new Map<number, Exchange>();
  for (const { exchange, token } of tokened) {
    const other = given.get(token);
    if (other !== undefined)
      throw new Violation('a fencing token is given once', `${lock} gave ${token} twice`, [other, exchange]);
    given.set(token, exchange);
  }
  checkGrowing(tokened, (older, newer) => {
    const detail = `${lock} gave ${older.token} after ${newer.token} had been given`;
    throw new Violation('fencing tokens grow', detail, [newer.exchange, older.exchange]);
  });
}

function checkWrites(lock: string, exchanges: readonly LockExchange[]): void {
  const accepted = exchanges.flatMap((exchange): readonly Tokened[] => {
    const { operation, outcome } = exchange;
    if (operation.kind !== 'lockedWrite' || outcome?.kind !== 'lockedWrite' || !outcome.isAccepted) return [];
    return operation.token === undefined ? [] : [{ exchange, token: operation.token }];
  });
  checkGrowing(accepted, (older, newer) => {
    const detail = `what ${lock} guards accepted token ${older.token} after ${newer.token}`;
    throw new Violation('what a lock guards refuses older tokens', detail, [newer.exchange, older.exchange]);
  });
}

/** Whatever was invoked after another one had returned has no smaller token. */
function checkGrowing(tokened: readonly Tokened[], fail: (older: Tokened, newer: Tokened) => never): void {
  const returns = tokened.toSorted((a, b) => (a.exchange.returnedAt ?? 0) - (b.exchange.returnedAt ?? 0));
  let newest: Tokened | undefined;
  let next = 0;
  for (const one of tokened.toSorted((a, b) => a.exchange.invokedAt - b.exchange.invokedAt)) {
    for (let before = returns[next]; before !== undefined; before = returns[++next]) {
      if ((before.exchange.returnedAt ?? 0) > one.exchange.invokedAt) break;
      if (newest === undefined || before.token > newest.token) newest = before;
    }
    if (newest !== undefined && one.token < newest.token) fail(one, newest);
  }
}

interface Tenure {
  readonly acquire: LockExchange;
  readonly from: number;
  to: number;
}

/** Locks without tokens: the time that each holder certainly believed to hold it. */
function checkAlone(lock: string, exchanges: readonly LockExchange[]): void {
  const tenures: Tenure[] = [];
  const held = new Map<number, Tenure>();
  for (const exchange of exchanges.toSorted((a, b) => momentOf(a) - momentOf(b))) {
    const { client, operation, outcome } = exchange;
    if (operation.kind === 'lockAcquire') {
      if (outcome?.kind !== 'lockAcquire' || outcome.token !== undefined) continue;
      const from = exchange.returnedAt ?? 0;
      const tenure = { acquire: exchange, from, to: from };
      tenures.push(tenure);
      held.set(client, tenure);
    } else if (operation.kind === 'lockRelease') {
      const tenure = held.get(client);
      if (tenure !== undefined) tenure.to = Math.max(tenure.to, exchange.invokedAt);
      held.delete(client);
    } else if (outcome?.kind === 'lockedWrite' && outcome.isAccepted) {
      // He may have ended without a word, but not before his last write.
      const tenure = held.get(client);
      if (tenure !== undefined) tenure.to = Math.max(tenure.to, exchange.returnedAt ?? 0);
    }
  }
  let last: Tenure | undefined;
  for (const tenure of tenures) {
    if (last !== undefined && tenure.from < last.to) {
      const detail = `clients ${last.acquire.client} and ${tenure.acquire.client} held ${lock} at once`;
      throw new Violation('a lock without tokens has one holder at a time', detail, [last.acquire, tenure.acquire]);
    }
    if (last === undefined || tenure.to > last.to) last = tenure;
  }
}

/** Of an acquisition its return, of the others their invocation: the order in which a client holds, writes and releases. */
function momentOf({ operation, invokedAt, returnedAt }: LockExchange): number {
  return operation.kind === 'lockAcquire' ? (returnedAt ?? Number.POSITIVE_INFINITY) : invokedAt;
}
