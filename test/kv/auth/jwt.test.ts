import assert from 'node:assert/strict';
import { createHmac, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { describe, test } from 'node:test';
import * as jose from 'jose';
import { seededRandom } from '../../../chaos/sim/random.ts';
import { KeelsonError } from '../../../src/env/errors.ts';
import { createJwtTokens } from '../../../src/kv/auth/jwt.ts';
import { mutated } from '../../support/random-messages.ts';

const pem = {
  private: (key: KeyObject) => Buffer.from(key.export({ type: 'pkcs8', format: 'pem' })),
  public: (key: KeyObject) => Buffer.from(key.export({ type: 'spki', format: 'pem' })),
};
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ec = (namedCurve: string) => generateKeyPairSync('ec', { namedCurve });
const pairs: Readonly<Record<string, { readonly publicKey: KeyObject; readonly privateKey: KeyObject }>> = {
  RS256: rsa,
  RS512: rsa,
  PS256: rsa,
  PS384: rsa,
  ES256: ec('prime256v1'),
  ES384: ec('secp384r1'),
  ES512: ec('secp521r1'),
  EdDSA: generateKeyPairSync('ed25519'),
};
const nowMs = () => Date.now();
const clock = { wallMs: nowMs };
const ttlMs = 300_000;
const user = { user: 'alice', authRevision: 12 };

function tokensOf(signMethod: string) {
  const pair = pairs[signMethod];
  assert.ok(pair);
  return createJwtTokens({ clock, signMethod, privateKey: pem.private(pair.privateKey), ttlMs });
}

describe('every algorithm speaks with another implementation', () => {
  for (const [signMethod, pair] of Object.entries(pairs)) {
    test(signMethod, async () => {
      const tokens = tokensOf(signMethod);
      const ours = tokens.sign(user);
      const { payload, protectedHeader } = await jose.jwtVerify(ours, pair.publicKey);
      assert.equal(protectedHeader.alg, signMethod);
      assert.equal(payload['username'], 'alice');
      assert.equal(payload['revision'], 12);
      const theirs = await new jose.SignJWT({ username: 'bob', revision: 3 })
        .setProtectedHeader({ alg: signMethod })
        .setExpirationTime('5m')
        .sign(pair.privateKey);
      assert.deepEqual(tokens.find(theirs), { user: 'bob', authRevision: 3 });
      assert.deepEqual(tokens.find(ours), user);
    });
  }

  test('HS256', async () => {
    const secret = Buffer.from('a secret of some length that nobody guesses');
    const tokens = createJwtTokens({ clock, signMethod: 'HS256', privateKey: secret, ttlMs });
    const { payload } = await jose.jwtVerify(tokens.sign(user), secret);
    assert.equal(payload['username'], 'alice');
    const theirs = await new jose.SignJWT({ username: 'bob', revision: 3 })
      .setProtectedHeader({ alg: 'HS256' })
      .sign(secret);
    assert.deepEqual(tokens.find(theirs), { user: 'bob', authRevision: 3 });
  });
});

test('a member with the public key alone takes tokens and makes none', () => {
  const { publicKey } = rsa;
  const verifying = createJwtTokens({ clock, signMethod: 'RS256', publicKey: pem.public(publicKey), ttlMs });
  assert.deepEqual(verifying.find(tokensOf('RS256').sign(user)), user);
  assert.throws(() => verifying.sign(user), { code: 'tokenVerifyOnly' });
});

test('a token is taken until its time is up, also when it was taken before', () => {
  let passedMs = 0;
  const tokens = createJwtTokens({
    clock: { wallMs: () => 1_700_000_000_000 + passedMs },
    signMethod: 'ES256',
    privateKey: pem.private((pairs['ES256'] as typeof rsa).privateKey),
    ttlMs: 10_000,
  });
  const token = tokens.sign(user);
  assert.deepEqual(tokens.find(token), user);
  passedMs = 9_999;
  assert.deepEqual(tokens.find(token), user);
  passedMs = 10_000;
  assert.equal(tokens.find(token), undefined);
});

test('what is forged, changed or about nobody is no token', async () => {
  const tokens = tokensOf('RS256');
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const body = part({ username: 'root', revision: 99, exp: Math.floor(nowMs() / 1000) + 60 });
  const [header, , signature] = tokens.sign(user).split('.');
  const publicPem = pem.public(rsa.publicKey);
  const confused = `${part({ alg: 'HS256', typ: 'JWT' })}.${body}`;
  const sign = (claims: jose.JWTPayload) =>
    new jose.SignJWT(claims).setProtectedHeader({ alg: 'RS256' }).sign(rsa.privateKey);
  const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const forged: readonly string[] = [
    '',
    'abc',
    'a.b.c',
    `${header}.${body}.${signature}`,
    `${header}.${body}.`,
    `${part({ alg: 'none', typ: 'JWT' })}.${body}.`,
    // The public key is known to everybody: it must never be taken for a secret.
    `${confused}.${createHmac('sha256', publicPem).update(confused).digest('base64url')}`,
    await new jose.SignJWT({ username: 'root', revision: 9 })
      .setProtectedHeader({ alg: 'RS256' })
      .sign(stranger.privateKey),
    await new jose.SignJWT({ username: 'root', revision: 9 }).setProtectedHeader({ alg: 'PS256' }).sign(rsa.privateKey),
    await sign({ revision: 9 }),
    await sign({ username: 'root' }),
    await sign({ username: 7, revision: 9 } as never),
    await sign({ username: 'root', revision: '9' }),
    await sign({ username: 'root', revision: 1e300 }),
    await sign({ username: 'root', revision: 9, exp: 1 }),
    await sign({ username: 'root', revision: 9, nbf: Math.floor(nowMs() / 1000) + 1_000 }),
    `${tokens.sign(user)}.more`,
    'x'.repeat(100_000),
  ];
  for (const token of forged) assert.equal(tokens.find(token), undefined, token.slice(0, 60));
});

test('options that cannot work are refused with what is wrong', () => {
  const privateKey = pem.private(rsa.privateKey);
  const other = pem.public(generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey);
  const bad = [
    [{ signMethod: 'RS255', privateKey }, /sign-method is "RS255"/],
    [{ signMethod: 'none', privateKey }, /sign-method is "none"/],
    [{ signMethod: 'RS256' }, /needs priv-key, or pub-key/],
    [{ signMethod: 'HS256' }, /the secret/],
    [{ signMethod: 'ES256', privateKey }, /kind ec, not rsa/],
    [{ signMethod: 'ES256', privateKey: pem.private(ec('secp384r1').privateKey) }, /curve prime256v1/],
    [{ signMethod: 'RS256', privateKey, publicKey: other }, /does not belong/],
    [{ signMethod: 'RS256', privateKey: Buffer.from('no key') }, /priv-key holds no key/],
  ] as const;
  for (const [options, message] of bad) {
    assert.throws(() => createJwtTokens({ clock, ttlMs, ...options }), { code: 'BAD_AUTH_TOKEN', message });
  }
});

test('key files of other bytes are refused in one line, or are keys', () => {
  const random = seededRandom('key files');
  let refused = 0;
  for (const [signMethod, pair] of Object.entries(pairs)) {
    const files = { privateKey: pem.private(pair.privateKey), publicKey: pem.public(pair.publicKey) };
    for (const name of ['privateKey', 'publicKey'] as const) {
      for (let count = 0; count < 40; count++) {
        const file = count % 8 === 0 ? random.bytes(random.integer(0, 400)) : mutated(random, files[name]);
        try {
          const tokens = createJwtTokens({ clock, signMethod, ttlMs, [name]: file });
          // Damage may be to what nobody reads, or make another key of the kind.
          if (name === 'privateKey') assert.deepEqual(tokens.find(tokens.sign(user)), user);
        } catch (error) {
          assert.ok(error instanceof KeelsonError && error.code === 'BAD_AUTH_TOKEN', String(error));
          assert.ok(!error.message.includes('\n'), error.message);
          refused += 1;
        }
      }
    }
  }
  assert.ok(refused > 300, `${refused} refused`);
});

test('tokens of other bytes are nobody’s', () => {
  const random = seededRandom('tokens');
  for (const signMethod of Object.keys(pairs)) {
    const tokens = tokensOf(signMethod);
    const token = Buffer.from(tokens.sign(user));
    for (let count = 0; count < 200; count++) {
      const other = Buffer.from(count % 8 === 0 ? random.bytes(random.integer(0, 400)) : mutated(random, token));
      const found = tokens.find(other.toString('latin1'));
      // The last digit of a signature has bits that say nothing.
      if (found !== undefined) assert.deepEqual(found, user);
    }
  }
});
