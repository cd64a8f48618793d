/** Who may come in with which certificate: the rules, on facts. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { chainOf, factsOf, revokedSerials } from '../../../src/rpc/tls/certificate-facts.ts';
import { cipherListOf } from '../../../src/rpc/tls/cipher-suites.ts';
import { groupByAddress, parseListenUrl } from '../../../src/rpc/tls/listen-urls.ts';
import * as rules from '../../../src/rpc/tls/rules.ts';
import { makeAuthority } from './certificates.ts';

const facts = (changes: Partial<rules.CertificateFacts> = {}): rules.CertificateFacts => ({
  commonName: 'member-1',
  serial: 'AB12',
  dnsNames: [],
  addresses: [],
  ...changes,
});
const nobodyAnswers: rules.AddressNames = {
  addresses: () => Promise.reject(new Error('no such host')),
  hosts: () => Promise.reject(new Error('no name')),
};

test('a certificate says its name, its number and where it may be used', async () => {
  const authority = await makeAuthority();
  const { cert } = await authority.issue({
    commonName: 'member one',
    serial: '00ab12',
    dnsNames: ['a.example', '*.b.example'],
    addresses: ['127.0.0.1', '::1'],
  });
  const read = factsOf(new X509Certificate(cert));
  assert.equal(read.commonName, 'member one');
  assert.equal(read.serial, 'AB12');
  assert.deepEqual(read.dnsNames, ['a.example', '*.b.example']);
  assert.ok(rules.isMadeOutTo(read, '::1') && rules.isMadeOutTo(read, '127.0.0.1') && rules.isMadeOutTo(read, '[::1]'));
  assert.deepEqual(chainOf(undefined), []);
});

test('a revocation list is read in both forms, and anything else is refused', async () => {
  const authority = await makeAuthority();
  const der = await authority.revoke(['00ab12', '7f']);
  const pem = `-----BEGIN X509 CRL-----\n${Buffer.from(der).toString('base64')}\n-----END X509 CRL-----\n`;
  assert.deepEqual([...revokedSerials(der)].sort(), ['7F', 'AB12']);
  assert.deepEqual([...revokedSerials(Buffer.from(pem))].sort(), ['7F', 'AB12']);
  assert.throws(() => revokedSerials(Buffer.from('nonsense')), { code: 'BAD_CERTIFICATE' });
  assert.throws(() => revokedSerials(new Uint8Array()), { code: 'BAD_CERTIFICATE' });
});

test('a revoked certificate is refused, wherever in the chain it is', () => {
  const chain = [facts(), facts({ serial: '99' })];
  assert.equal(rules.revokedReason(chain, new Set(['AB13'])), undefined);
  assert.equal(rules.revokedReason(chain, new Set(['99'])), 'transport: certificate serial 99 revoked');
  assert.equal(rules.revokedReason(chain, new Set(['AB12'])), 'transport: certificate serial ab12 revoked');
});

test('only allowed names come in', () => {
  const refused = 'client certificate authentication failed';
  const byName = { commonNames: ['member-1', 'member-2'], hostNames: [] };
  assert.equal(rules.nameReason(facts(), rules.anyName), undefined);
  assert.equal(rules.nameReason(undefined, rules.anyName), undefined);
  assert.equal(rules.nameReason(facts(), byName), undefined);
  assert.equal(rules.nameReason(facts({ commonName: 'member-3' }), byName), refused);
  assert.equal(rules.nameReason(undefined, byName), refused);
  const byHost = { commonNames: [], hostNames: ['etcd.example', '10.0.0.1'] };
  assert.equal(rules.nameReason(facts({ dnsNames: ['*.example'] }), byHost), undefined);
  assert.equal(rules.nameReason(facts({ addresses: ['10.0.0.1'] }), byHost), undefined);
  assert.equal(rules.nameReason(facts({ dnsNames: ['example', '*.etcd.example'] }), byHost), refused);
});

test('a star is one first label and nothing else', () => {
  const star = facts({ dnsNames: ['*.example.org'] });
  assert.ok(rules.isMadeOutTo(star, 'A.Example.org.'));
  for (const host of ['example.org', 'a.b.example.org', '.example.org', 'aexample.org']) {
    assert.ok(!rules.isMadeOutTo(star, host), host);
  }
});

test('a member comes from an address that its certificate is made out to', async () => {
  const reason = (leaf: rules.CertificateFacts | undefined, names = nobodyAnswers) =>
    rules.addressReason(leaf, '10.0.0.1', names);
  assert.equal(await reason(undefined), undefined);
  assert.equal(await reason(facts()), undefined);
  assert.equal(await reason(facts({ addresses: ['10.0.0.1'] })), undefined);
  assert.equal(
    await rules.addressReason(facts({ addresses: ['10.0.0.1'] }), '::ffff:10.0.0.1', nobodyAnswers),
    undefined,
  );
  assert.match((await reason(facts({ addresses: ['10.0.0.2'] }))) ?? '', /valid for 10\.0\.0\.2, not 10\.0\.0\.1/);
  const named = facts({ dnsNames: ['a.example', '*.b.example'], addresses: ['10.0.0.2'] });
  assert.match(
    (await reason(named)) ?? '',
    /does not match any of DNSNames \["a\.example","\*\.b\.example"\] \(no such host\)/,
  );
  const forward = { ...nobodyAnswers, addresses: () => Promise.resolve(['10.0.0.1']) };
  assert.equal(await reason(named, forward), undefined);
  for (const host of ['a.example.', 'x.b.example']) {
    assert.equal(await reason(named, { ...nobodyAnswers, hosts: () => Promise.resolve([host]) }), undefined);
  }
  const other = { addresses: () => Promise.resolve(['10.0.0.9']), hosts: () => Promise.resolve(['c.example']) };
  assert.ok(await reason(named, other));
});

test('cipher suites go by the names of etcd’s flag', () => {
  assert.equal(cipherListOf([]), undefined);
  assert.equal(cipherListOf(['TLS_AES_128_GCM_SHA256']), undefined);
  assert.match(
    cipherListOf(['TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256', 'TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305']) ?? '',
    /^TLS_AES_128_GCM_SHA256:.*:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305$/,
  );
  assert.throws(() => cipherListOf(['nonsense']), /unexpected TLS cipher suite "nonsense"/);
  assert.throws(() => cipherListOf(['constructor']), /unexpected TLS cipher suite/);
  assert.throws(() => cipherListOf(['TLS_RSA_WITH_RC4_128_SHA']), /broken/);
});

test('URLs to listen on name ports and socket files', () => {
  assert.deepEqual(parseListenUrl('http://[::1]:2379').address, { kind: 'tcp', host: '::1', port: 2379 });
  assert.deepEqual(parseListenUrl('https://127.0.0.1').address, { kind: 'tcp', host: '127.0.0.1', port: 443 });
  assert.deepEqual(parseListenUrl('unix://localhost:m1').address, { kind: 'unix', path: 'localhost:m1' });
  assert.deepEqual(parseListenUrl('unixs:///run/store.sock').address, { kind: 'unix', path: '/run/store.sock' });
  for (const bad of ['ftp://a:1', 'http://a:99999', 'http://a:1/path', 'localhost:1', 'unix://']) {
    assert.throws(() => parseListenUrl(bad), { code: 'BAD_FLAGS' }, bad);
  }
  const groups = groupByAddress(['http://a:1', 'https://a:1', 'http://b:0', 'http://b:0'].map(parseListenUrl));
  assert.deepEqual(
    groups.map(({ isPlainTaken, isSecureTaken }) => [isPlainTaken, isSecureTaken]),
    [
      [true, true],
      [true, false],
      [true, false],
    ],
  );
});
