import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { realClock, realRandom } from '../../../src/env/real.ts';
import { createBcryptPasswords } from '../../../src/kv/auth/bcrypt-passwords.ts';
import { createInlinePasswords } from '../../../src/kv/auth/inline-passwords.ts';
import { isBcryptHash, type Passwords } from '../../../src/kv/auth/passwords.ts';

const kinds: readonly (readonly [string, Passwords])[] = [
  ['on a thread', createBcryptPasswords({ clock: realClock, cost: 4 })],
  ['inline', createInlinePasswords(realRandom)],
];

for (const [name, passwords] of kinds) {
  describe(`passwords ${name}`, () => {
    after(() => passwords.close());

    test('the right one matches and another does not, whoever made the hash', async () => {
      const hash = await passwords.hash('secret');
      assert.ok(isBcryptHash(hash));
      assert.notEqual(await passwords.hash('secret'), hash, 'each hash has a salt of its own');
      assert.equal(await passwords.matches('secret', hash), true);
      assert.equal(await passwords.matches('Secret', hash), false);
      assert.equal(await passwords.matches('', hash), false);
      // Go writes 2a, others write 2y, for the same thing.
      for (const version of ['$2a$', '$2y$']) {
        assert.equal(await passwords.matches('secret', hash.replace('$2b$', version)), true, version);
      }
    });

    test('what is no hash matches nothing', async () => {
      for (const hash of ['', 'secret', '$2b$04$short', `$2b$99$${'a'.repeat(53)}`, `$2a$10$${'.'.repeat(54)}`]) {
        assert.equal(await passwords.matches('secret', hash), false, hash);
      }
    });

    test('a password that bcrypt would cut is refused', async () => {
      assert.ok(isBcryptHash(await passwords.hash('x'.repeat(72))));
      await assert.rejects(passwords.hash('x'.repeat(73)), { code: 'passwordTooLong' });
      await assert.rejects(passwords.hash('é'.repeat(37)), { code: 'passwordTooLong' });
    });
  });
}

test('the loop goes on while a costly hash is made', async (t) => {
  const passwords = createBcryptPasswords({ clock: realClock, cost: 10 });
  t.after(() => passwords.close());
  await passwords.hash('the thread has begun');
  let turns = 0;
  let isOver = false;
  const count = () => {
    turns++;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  await passwords.hash('secret');
  isOver = true;
  assert.ok(turns > 20, `${turns} turns`);
});

test('no more wait than the limit, and those who wait when it ends are told', async () => {
  const passwords = createBcryptPasswords({ clock: realClock, cost: 10, jobsMax: 2 });
  const waiting = [passwords.hash('a'), passwords.hash('b')].map((hash) => assert.rejects(hash, { code: 'stopped' }));
  await assert.rejects(passwords.hash('c'), { code: 'tooManyRequests' });
  passwords.close();
  await Promise.all(waiting);
  await assert.rejects(passwords.hash('d'), { code: 'stopped' });
});
