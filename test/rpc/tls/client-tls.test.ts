/** What a member shows to others, from files that change while it runs. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import type { PeerCertificate } from 'node:tls';
import { realDisk } from '../../../src/env/real.ts';
import { silentLog } from '../../../src/env/log.ts';
import { openClientTls } from '../../../src/rpc/tls/client-tls.ts';
import { anyName } from '../../../src/rpc/tls/rules.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { filesOf, makeAuthority } from './certificates.ts';

const nextState = (state: () => unknown, before: unknown) =>
  new Promise<void>((resolve) => {
    const look = () => (state() === before ? setImmediate(look) : resolve());
    look();
  });

test('the files in use are one value until they change, and bad ones do not count', { timeout: 10_000 }, async () => {
  const authority = await makeAuthority();
  const first = await authority.issue({ commonName: 'first' });
  const second = await authority.issue({ commonName: 'second' });
  const files = await filesOf({ cert: first.cert, key: first.key, ca: authority.pem });
  const clock = new FakeClock();
  const paths = { cert: files.path('cert'), key: files.path('key'), ca: files.path('ca') };
  const warned: string[] = [];
  const log = { ...silentLog, warn: (message: string) => void warned.push(message) };
  const options = { disk: realDisk, clock, log, files: paths, isUnverified: false, everyMs: 1_000 };
  const tls = await openClientTls({ ...options, allowed: { commonNames: ['first'], hostNames: [] } });
  const before = tls.current();
  await clock.advance(1_000);
  assert.equal(tls.current(), before);
  const shown = (pem: string) => ({ raw: new X509Certificate(pem).raw }) as PeerCertificate;
  assert.equal(before.check(shown(first.cert)), undefined);
  assert.equal(before.check(shown(second.cert)), 'client certificate authentication failed');
  await files.write('key', second.key);
  await clock.advance(1_000);
  await nextState(() => warned.length, 0);
  assert.equal(tls.current(), before);
  await files.write('cert', second.cert);
  await clock.advance(1_000);
  await nextState(() => tls.current(), before);
  assert.equal(new X509Certificate(tls.current().cert).subject, 'CN=second');
  assert.equal(warned.length, 1);
  tls.close();
  await files.write('cert', 'nonsense');
  await assert.rejects(openClientTls({ ...options, allowed: anyName }));
  await files.remove();
});
