/** Transactions over lists: each of Adya's anomalies in plain sight, and histories that look wrong and are not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ListStep } from '../../../chaos/check/history-events.ts';
import { accepts, rejects, type Scene, scene } from './scene.ts';

const append = (key: string, value: string): ListStep => ({ kind: 'append', key, value });
const read = (key: string): ListStep => ({ kind: 'read', key });

function begin(made: Scene, ...steps: readonly ListStep[]): number {
  return made.begin({ kind: 'listTxn', steps });
}

function end(made: Scene, id: number, ...lists: readonly (readonly string[])[]): void {
  made.ok(id, { kind: 'listTxn', lists });
}

/** One after the other. */
function did(made: Scene, steps: readonly ListStep[], ...lists: readonly (readonly string[])[]): number {
  const id = begin(made, ...steps);
  end(made, id, ...lists);
  return id;
}

test('transactions that happened one after the other are accepted', () => {
  accepts('listAppend', (made) => {
    did(made, [append('x', '1')]);
    did(made, [read('x'), append('x', '2'), read('x'), append('y', '1')], ['1'], ['1', '2']);
    did(made, [read('x'), read('y')], ['1', '2'], ['1']);
  });
});

test('transactions at the same time may have happened in any order that all reads agree on', () => {
  accepts('listAppend', (made) => {
    const a = begin(made, append('x', '1'), read('y'));
    const b = begin(made, append('y', '1'), read('x'));
    end(made, a, ['1']);
    end(made, b, []);
    did(made, [read('x'), read('y')], ['1'], ['1']);
  });
});

test('what got no answer may be seen late, or never; what was not read may come after all that was', () => {
  accepts('listAppend', (made) => {
    begin(made, append('x', 'late'));
    begin(made, append('x', 'never'));
    did(made, [read('x'), append('x', '1')], []);
    did(made, [read('x')], ['1', 'late']);
    const reader = begin(made, read('x'), append('x', 'unread'));
    const other = begin(made, read('x'), append('y', 'unread too'));
    end(made, reader, ['1', 'late']);
    end(made, other, ['1', 'late']);
  });
});

test('G0: two transactions whose appends came in opposite orders', () => {
  rejects('listAppend', /G0: 0 -ww-> 1 -ww-> 0|G0: 1 -ww-> 0 -ww-> 1/, (made) => {
    const a = begin(made, append('x', 'a'), append('y', 'a'));
    const b = begin(made, append('x', 'b'), append('y', 'b'));
    end(made, a);
    end(made, b);
    did(made, [read('x')], ['a', 'b']);
    did(made, [read('y')], ['b', 'a']);
  });
});

test('G0-realtime: an append that comes before one that had returned', () => {
  rejects('listAppend', /G0-realtime/, (made) => {
    did(made, [append('x', 'a')]);
    did(made, [append('x', 'b')]);
    did(made, [read('x')], ['b', 'a']);
  });
});

test('G1a: what failed was read', () => {
  rejects('listAppend', /G1a/, (made) => {
    const failed = begin(made, append('x', 'a'));
    made.fail(failed);
    return [failed, did(made, [read('x')], ['a'])];
  });
});

test('G1b: a transaction was read half done', () => {
  rejects('listAppend', /G1b/, (made) => {
    const writer = begin(made, append('x', 'a'), append('x', 'b'));
    const reader = did(made, [read('x')], ['a']);
    end(made, writer);
    return [writer, reader];
  });
});

test('G1c: two transactions that each read what the other one appended', () => {
  rejects('listAppend', /G1c: . -wr-> . -wr-> ./, (made) => {
    const a = begin(made, append('x', 'a'), read('y'));
    const b = begin(made, append('y', 'b'), read('x'));
    end(made, a, ['b']);
    end(made, b, ['a']);
  });
});

test('G-single: half of what another one did was read', () => {
  rejects('listAppend', /G-single: /, (made) => {
    const writer = begin(made, append('x', 'a'), append('y', 'a'));
    const reader = begin(made, read('x'), read('y'));
    end(made, writer);
    end(made, reader, ['a'], []);
    did(made, [read('y')], ['a']);
  });
});

test('G-single-realtime: a read that missed what had returned, or an append that nobody ever read', () => {
  rejects('listAppend', /G-single-realtime: 1 -rw-> 0 -rt-> 1/, (made) => {
    did(made, [append('x', 'a')]);
    did(made, [read('x')], []);
    did(made, [read('x')], ['a']);
  });
  rejects('listAppend', /G-single-realtime: 1 -rw-> 0 -rt-> 1/, (made) => {
    did(made, [append('x', 'lost')]);
    did(made, [read('x')], []);
  });
});

test('G2: two transactions that each missed what the other one appended', () => {
  rejects('listAppend', /G2: . -rw-> . -rw-> ./, (made) => {
    const a = begin(made, read('x'), append('y', 'a'));
    const b = begin(made, read('y'), append('x', 'b'));
    end(made, a, []);
    end(made, b, []);
    did(made, [read('x'), read('y')], ['b'], ['a']);
  });
  rejects('listAppend', /G2: /, (made) => {
    const a = begin(made, read('x'), append('y', 'unread'));
    const b = begin(made, read('y'), append('x', 'unread'));
    end(made, a, []);
    end(made, b, []);
  });
});

test('lists that nobody can have read are refused', () => {
  rejects('listAppend', /in one order/, (made) => {
    const writers = ['a', 'b'].map((value) => begin(made, append('x', value)));
    for (const writer of writers) end(made, writer);
    did(made, [read('x')], ['a', 'b']);
    did(made, [read('x')], ['b', 'a']);
  });
  rejects('listAppend', /nobody appended ghost/, (made) => {
    did(made, [read('x')], ['ghost']);
  });
  rejects('listAppend', /appended once/, (made) => {
    did(made, [append('x', 'a')]);
    did(made, [read('x')], ['a', 'a']);
  });
  rejects('listAppend', /sees its own appends/, (made) => {
    did(made, [append('x', 'a'), read('x')], []);
  });
  rejects('listAppend', /sees its own appends and one state/, (made) => {
    did(made, [append('x', 'a')]);
    did(made, [read('x'), read('x')], [], ['a']);
  });
  rejects('listAppend', /was not asked for yet/, (made) => {
    did(made, [read('x')], ['a']);
    did(made, [append('x', 'a')]);
  });
});

test('a value that is appended twice cannot be judged', () => {
  const made = scene((one) => {
    did(one, [append('x', 'a')]);
    did(one, [append('x', 'a')]);
  });
  assert.equal(made.result('listAppend').verdict, 'unknown');
});
