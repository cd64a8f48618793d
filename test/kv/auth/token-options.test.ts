import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTokenOptions } from '../../../src/kv/auth/token-options.ts';

test('--auth-token is read as etcd reads it', () => {
  assert.deepEqual(parseTokenOptions('simple'), { kind: 'simple' });
  assert.deepEqual(parseTokenOptions('jwt,pub-key=a.pub,priv-key=a.key,sign-method=RS256,ttl=1h30m'), {
    kind: 'jwt',
    signMethod: 'RS256',
    publicKeyFile: 'a.pub',
    privateKeyFile: 'a.key',
    ttlMs: 5_400_000,
    unknown: [],
  });
  assert.deepEqual(parseTokenOptions('jwt,sign-method=ES256,pub-key=p,colour=red'), {
    kind: 'jwt',
    signMethod: 'ES256',
    publicKeyFile: 'p',
    ttlMs: 300_000,
    unknown: ['colour'],
  });
});

test('what cannot be read is refused with one line', () => {
  for (const text of [
    'nonsense',
    'jwt',
    'jwt,sign-method',
    'jwt,sign-method=RS256,sign-method=RS512',
    'jwt,sign-method=RS256,ttl=soon',
    'jwt,sign-method=RS256,ttl=5',
    'jwt,sign-method=a=b',
  ]) {
    assert.throws(() => parseTokenOptions(text), { code: 'BAD_AUTH_TOKEN' }, text);
  }
});
