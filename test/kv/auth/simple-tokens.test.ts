import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SimpleTokens } from '../../../src/kv/auth/simple-tokens.ts';
import { realRandom } from '../../../src/env/real.ts';

function tokensAt(tokensMax = 10) {
  let nowMs = 0;
  const clock = { monotonicMs: () => nowMs };
  const tokens = new SimpleTokens({ clock, random: realRandom, ttlMs: 300_000, tokensMax });
  return { tokens, pass: (ms: number) => (nowMs += ms) };
}

test('a token stands for its user, with the revision that holds when it is shown', () => {
  const { tokens } = tokensAt();
  tokens.made('abc.7', 'alice');
  assert.deepEqual(tokens.find('abc.7', 3), { user: 'alice', authRevision: 3 });
  assert.deepEqual(tokens.find('abc.7', 4), { user: 'alice', authRevision: 4 });
  assert.equal(tokens.find('abc.8', 4), undefined);
});

test('a token lasts five minutes after its last use', () => {
  const { tokens, pass } = tokensAt();
  tokens.made('used.1', 'alice');
  tokens.made('unused.2', 'bob');
  pass(299_999);
  assert.ok(tokens.find('used.1', 1));
  pass(2);
  assert.equal(tokens.find('unused.2', 1), undefined);
  assert.ok(tokens.find('used.1', 1));
  pass(300_000);
  assert.equal(tokens.find('used.1', 1), undefined);
  assert.equal(tokens.size(), 0);
});

test('who is deleted or has a new password loses all tokens, and nobody else does', () => {
  const { tokens } = tokensAt();
  tokens.made('a.1', 'alice');
  tokens.made('b.2', 'alice');
  tokens.made('c.3', 'bob');
  tokens.forgetUser('alice');
  assert.equal(tokens.find('a.1', 1), undefined);
  assert.equal(tokens.find('b.2', 1), undefined);
  assert.ok(tokens.find('c.3', 1));
  tokens.forgetAll();
  assert.equal(tokens.find('c.3', 1), undefined);
});

test('beyond the limit the token that was not used for longest goes', () => {
  const { tokens } = tokensAt(2);
  tokens.made('a.1', 'alice');
  tokens.made('b.2', 'bob');
  assert.ok(tokens.find('a.1', 1));
  tokens.made('c.3', 'carol');
  assert.equal(tokens.find('b.2', 1), undefined);
  assert.ok(tokens.find('a.1', 1));
  assert.equal(tokens.size(), 2);
});

test('a token says at which index it was made; what is no token says nothing', () => {
  const { tokens } = tokensAt();
  assert.equal(tokens.indexOf('abc.17'), 17);
  for (const text of ['', 'abc', 'abc.', 'abc.x', 'a.b.3', 'abc.-1', 'abc.1e9', `abc.${'9'.repeat(30)}`]) {
    assert.equal(tokens.indexOf(text), undefined, text);
  }
  const prefixes = new Set(Array.from({ length: 100 }, () => tokens.newPrefix()));
  assert.equal(prefixes.size, 100);
  for (const prefix of prefixes) assert.match(prefix, /^[a-zA-Z]{16}$/);
});
