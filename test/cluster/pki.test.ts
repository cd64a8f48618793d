import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ensureAuthority, ensureLeaf } from '../../src/cluster/pki.ts';
import { realEnv } from '../../src/env/real.ts';

const env = realEnv('error');
const request = {
  commonName: 'system:node:n1',
  organizations: ['system:nodes'],
  hosts: ['10.0.0.1', 'n1'],
  usages: ['server'],
} as const;

test('a leaf names its user, group and hosts and is verified by its authority only', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'keelson-pki-'));
  const ca = await ensureAuthority(env, directory, 'ca', 'one');
  const other = await ensureAuthority(env, directory, 'other', 'two');
  const leaf = new X509Certificate((await ensureLeaf(env, ca, directory, 'leaf', request)).certificatePem);
  assert.match(leaf.subject, /O=system:nodes/);
  assert.match(leaf.subject, /CN=system:node:n1/);
  assert.equal(leaf.subjectAltName, 'IP Address:10.0.0.1, DNS:n1');
  assert.equal(leaf.verify(new X509Certificate(ca.certificatePem).publicKey), true);
  assert.equal(leaf.verify(new X509Certificate(other.certificatePem).publicKey), false);
  await rm(directory, { recursive: true });
});

test('certificates are kept over starts, and made anew when another authority signed them or they are broken', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'keelson-pki-'));
  const ca = await ensureAuthority(env, directory, 'ca', 'one');
  const first = await ensureLeaf(env, ca, directory, 'leaf', request);
  const again = await ensureAuthority(env, directory, 'ca', 'one');
  assert.equal(again.certificatePem, ca.certificatePem);
  assert.equal((await ensureLeaf(env, again, directory, 'leaf', request)).certificatePem, first.certificatePem);
  const other = await ensureAuthority(env, directory, 'other', 'two');
  assert.notEqual((await ensureLeaf(env, other, directory, 'leaf', request)).certificatePem, first.certificatePem);
  await writeFile(join(directory, 'leaf.crt'), 'broken');
  assert.match((await ensureLeaf(env, ca, directory, 'leaf', request)).certificatePem, /BEGIN CERTIFICATE/);
  await rm(directory, { recursive: true });
});

test('a broken authority is named and left as it is', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'keelson-pki-'));
  await ensureAuthority(env, directory, 'ca', 'one');
  await writeFile(join(directory, 'ca.crt'), 'broken');
  await assert.rejects(ensureAuthority(env, directory, 'ca', 'one'), /ca\.crt: not a certificate in PEM form/);
  await rm(directory, { recursive: true });
});
