/**
 * Passwords without a thread, salted from the randomness that comes in: the simulation needs the same hash from the same
 * seed, and tests need no thread to wait for. Each call stops the loop for as long as bcrypt takes, so it is for low costs.
 */
import bcrypt from 'bcryptjs';
import { assert } from '../../env/assert.ts';
import type { Random } from '../../env/random.ts';
import { KvError } from '../errors.ts';
import { bcryptCostMin, isBcryptHash, passwordBytesMax, type Passwords } from './passwords.ts';

const saltBytes = 16;

export function createInlinePasswords(random: Pick<Random, 'bytes'>, cost: number = bcryptCostMin): Passwords {
  assert(cost >= bcryptCostMin && cost < 10, () => `cost ${cost} belongs on a thread of its own`);
  return {
    cost,
    async hash(password) {
      if (Buffer.byteLength(password, 'utf8') > passwordBytesMax) throw new KvError('passwordTooLong');
      const salt = bcrypt.encodeBase64([...random.bytes(saltBytes)] as never, saltBytes);
      const hash = bcrypt.hashSync(password, `$2b$0${cost}$${salt}`);
      assert(isBcryptHash(hash), 'a password’s hash is one of bcrypt');
      return hash;
    },
    matches: async (password, hash) => isBcryptHash(hash) && bcrypt.compareSync(password, hash),
    close: () => undefined,
  };
}
