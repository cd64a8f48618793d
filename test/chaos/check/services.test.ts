/** What is built on a store: money, rings, sets, ids, counters and locks, with the mistake in plain sight. */
import { test } from 'node:test';
import type { AnyOperation } from '../../../chaos/check/history-events.ts';
import { accepts, rejects, type Scene } from './scene.ts';

function accounts(a: number, b: number) {
  return {
    kind: 'bankRead',
    accounts: [
      { account: 'a', amount: a },
      { account: 'b', amount: b },
    ],
  } as const;
}

const bankRead: AnyOperation = { kind: 'bankRead' };
const transfer: AnyOperation = { kind: 'bankTransfer', from: 'a', to: 'b', amount: 3 };

test('money moves and stays the same in all, whatever became of a transfer', () => {
  accepts('bank', (made) => {
    made.did(bankRead, accounts(5, 5));
    made.begin(transfer);
    made.did(bankRead, accounts(2, 8));
    made.fail(made.begin(transfer));
    made.did(bankRead, accounts(2, 8));
  });
});

test('money that is lost, made, owed or counted twice is a violation', () => {
  rejects('bank', /neither made nor lost: .* hold 7, want 10/, (made) => {
    const before = made.did(bankRead, accounts(5, 5));
    made.did(transfer, { kind: 'bankTransfer' });
    return [before, made.did(bankRead, accounts(2, 5))];
  });
  rejects('bank', /hold 10, want 12/, (made) => {
    made.add({ type: 'expect', bankTotal: 12 });
    made.did(bankRead, accounts(5, 5));
  });
  rejects('bank', /no account owes/, (made) => {
    made.did(bankRead, accounts(-1, 11));
  });
  rejects('bank', /an account is there once/, (made) => {
    const twice = accounts(5, 5).accounts.map(({ amount }) => ({ account: 'a', amount }));
    made.did(bankRead, { kind: 'bankRead', accounts: twice });
  });
});

function ring(...nodes: readonly string[]) {
  const links = nodes.map((from, position) => ({ from, to: nodes[(position + 1) % nodes.length] ?? '' }));
  return { kind: 'ringRead', links } as const;
}

test('a ring stays one, in whatever order', () => {
  accepts('ring', (made) => {
    made.did({ kind: 'ringRead' }, ring('1', '2', '3', '4'));
    made.did({ kind: 'ringSwap' }, { kind: 'ringSwap' });
    made.did({ kind: 'ringRead' }, ring('1', '3', '2', '4'));
  });
});

test('a ring that falls into two, loses a node or a link is a violation', () => {
  const read: AnyOperation = { kind: 'ringRead' };
  rejects('ring', /closes after 2 of 4/, (made) => {
    made.did(read, { kind: 'ringRead', links: [...ring('1', '2').links, ...ring('3', '4').links] });
  });
  rejects('ring', /there are 3 nodes, want 4/, (made) => {
    made.did(read, ring('1', '2', '3', '4'));
    made.did(read, ring('1', '2', '3'));
  });
  rejects('ring', /do not come back/, (made) => {
    made.did(read, { kind: 'ringRead', links: [...ring('1', '2').links.slice(0, 1), { from: '2', to: '2' }] });
  });
});

const add = (element: string): AnyOperation => ({ kind: 'setAdd', set: 's', element });
const setRead: AnyOperation = { kind: 'setRead', set: 's' };
const elements = (...all: readonly string[]) => ({ kind: 'setRead', elements: all }) as const;

test('a set holds what was added, and what may have been', () => {
  accepts('sets', (made) => {
    made.did(add('1'), { kind: 'setAdd' });
    made.begin(add('unsure'));
    const early = made.begin(setRead);
    made.did(add('2'), { kind: 'setAdd' });
    made.ok(early, elements('1'));
    made.did(setRead, elements('2', '1'));
    made.did(setRead, elements('1', '2', 'unsure'));
  });
});

test('a set that loses, invents or doubles an element is a violation', () => {
  rejects('sets', /a set forgets nothing: 1 had been/, (made) => {
    const lost = made.did(add('1'), { kind: 'setAdd' });
    return [lost, made.did(setRead, elements())];
  });
  rejects('sets', /forgets nothing: unsure had been/, (made) => {
    made.begin(add('unsure'));
    const seen = made.did(setRead, elements('unsure'));
    return [seen, made.did(setRead, elements())];
  });
  rejects('sets', /was added by nobody/, (made) => {
    made.fail(made.begin(add('1')));
    made.did(setRead, elements('1'));
  });
  rejects('sets', /is in s twice/, (made) => {
    made.did(add('1'), { kind: 'setAdd' });
    made.did(setRead, elements('1', '1'));
  });
});

test('ids are handed out once in each pool', () => {
  const take = (pool: string): AnyOperation => ({ kind: 'idTake', pool });
  accepts('ids', (made) => {
    made.did(take('a'), { kind: 'idTake', id: '1' });
    made.begin(take('a'));
    made.did(take('a'), { kind: 'idTake', id: '2' });
    made.did(take('b'), { kind: 'idTake', id: '1' });
  });
  rejects('ids', /handed out once: clients 1 and 2/, (made) => [
    made.did(take('a'), { kind: 'idTake', id: '1' }),
    made.did(take('a'), { kind: 'idTake', id: '1' }, 2),
  ]);
});

const count = (amount: number): AnyOperation => ({ kind: 'counterAdd', counter: 'c', amount });
const counted: AnyOperation = { kind: 'counterRead', counter: 'c' };
const value = (found: number) => ({ kind: 'counterRead', value: found }) as const;

test('a counter counts what is certain, and may count what is not', () => {
  accepts('counters', (made) => {
    made.did(count(2), { kind: 'counterAdd' });
    made.begin(count(10));
    made.did(counted, value(2));
    made.did(counted, value(12));
    const slow = made.begin(count(-5));
    made.did(counted, value(7));
    made.did(counted, value(12));
    made.ok(slow, { kind: 'counterAdd' });
    made.did(counted, value(-3));
  });
});

test('a counter that counts too little, too much or backwards is a violation', () => {
  rejects('counters', /lay between 2 and 2/, (made) => {
    made.did(count(2), { kind: 'counterAdd' });
    return [made.did(counted, value(0))].slice(0, 1);
  });
  rejects('counters', /lay between 0 and 0/, (made) => {
    made.fail(made.begin(count(2)));
    made.did(counted, value(2));
  });
  rejects('counters', /only grows does not go back/, (made) => {
    made.begin(count(2));
    const high = made.did(counted, value(2));
    return [high, made.did(counted, value(0))];
  });
});

const lock = 'l';
function acquire(made: Scene, client: number, token: number | undefined): number {
  return made.did({ kind: 'lockAcquire', lock }, { kind: 'lockAcquire', token }, client);
}
function write(made: Scene, client: number, token: number | undefined, isAccepted = true): number {
  const operation: AnyOperation = { kind: 'lockedWrite', lock, token, value: String(made.events.length) };
  return made.did(operation, { kind: 'lockedWrite', isAccepted }, client);
}
const release = (made: Scene, client: number) =>
  made.did({ kind: 'lockRelease', lock }, { kind: 'lockRelease' }, client);

/** Client 1 is paused while it holds the lock; its lease ends, client 2 gets the lock, client 1 goes on writing. */
function pausedHolder(made: Scene, token: (client: number) => number | undefined, isAccepted: boolean): void {
  acquire(made, 1, token(1));
  write(made, 1, token(1));
  acquire(made, 2, token(2));
  write(made, 2, token(2));
  write(made, 1, token(1), isAccepted);
}

test('a paused holder does no harm where his token is refused', () => {
  accepts('locks', (made) => pausedHolder(made, (client) => client, false));
  accepts('locks', (made) => {
    // What is guarded has not heard of the new holder yet.
    acquire(made, 1, 7);
    acquire(made, 2, 9);
    write(made, 1, 7);
    write(made, 2, 9);
    release(made, 2);
    acquire(made, 1, 10);
  });
});

test("a paused holder whose write is accepted after his successor's is a violation, with tokens and without", () => {
  rejects('locks', /refuses older tokens: .* accepted token 1 after 2/, (made) =>
    pausedHolder(made, (client) => client, true),
  );
  rejects('locks', /one holder at a time: clients 1 and 2 held l at once/, (made) =>
    pausedHolder(made, () => undefined, true),
  );
});

test('locks without tokens are fine as long as holders are alone', () => {
  accepts('locks', (made) => {
    acquire(made, 1, undefined);
    write(made, 1, undefined);
    release(made, 1);
    acquire(made, 2, undefined);
    // Ends without a word.
    write(made, 2, undefined);
    acquire(made, 3, undefined);
    write(made, 3, undefined);
  });
});

test('fencing tokens that repeat or shrink are a violation', () => {
  rejects('locks', /given once/, (made) => [acquire(made, 1, 5), acquire(made, 2, 5)]);
  rejects('locks', /tokens grow: l gave 4 after 5/, (made) => [acquire(made, 1, 5), acquire(made, 2, 4)]);
});
