/** Certificates, keys, authorities and revocation lists of other bytes: used as they are, or refused in one line; never a crash. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../../../chaos/sim/random.ts';
import { readCertificateFile, readServingFiles } from '../../../src/cli/certificates.ts';
import { KeelsonError } from '../../../src/env/errors.ts';
import { silentLog } from '../../../src/env/log.ts';
import { realDisk } from '../../../src/env/real.ts';
import { anyName } from '../../../src/rpc/tls/rules.ts';
import { openServerTls } from '../../../src/rpc/tls/server-tls.ts';
import { mutated } from '../../support/random-messages.ts';
import { makeAuthority } from './certificates.ts';

const perFile = 80;

test('files of TLS with random and mutated bytes are refused in one line that says which, or are taken', async () => {
  const authority = await makeAuthority();
  const { cert, key } = await authority.issue({ commonName: 'server', addresses: ['127.0.0.1'] });
  const whole = new Map<string, Uint8Array>([
    ['/cert', Buffer.from(`${cert}\n${authority.pem}`)],
    ['/key', Buffer.from(key)],
    ['/ca', Buffer.from(authority.pem)],
    ['/crl', await authority.revoke(['05'])],
  ]);
  const outcomes = { taken: 0, refused: 0 };
  for (const [name, source] of whole) {
    const random = seededRandom(name);
    for (let count = 0; count < perFile; count++) {
      const content = count % 8 === 0 ? random.bytes(random.integer(0, 2_000)) : mutated(random, source);
      const contents = new Map([...whole, [name, content]]);
      const readFile = (path: string) => Promise.resolve(contents.get(path) as Uint8Array);
      const disk = { ...realDisk, readFile };
      const side = { flag: 'cert-file', path: '/cert' };
      try {
        await readServingFiles(disk, side, { flag: 'key-file', path: '/key' });
        await readCertificateFile(disk, { flag: 'trusted-ca-file', path: '/ca' });
        const tls = await openServerTls({
          disk,
          clock: { every: () => () => undefined },
          log: silentLog,
          files: { cert: '/cert', key: '/key', ca: '/ca', crl: '/crl' },
          isClientVerified: true,
          limits: { minVersion: 'TLSv1.2' },
          allowed: anyName,
        });
        tls.close();
        outcomes.taken += 1;
      } catch (error) {
        if (!(error instanceof KeelsonError)) throw new Error(`${name}, content ${count}`, { cause: error });
        assert.equal(error.code, 'BAD_CERTIFICATE', error.message);
        assert.ok(!error.message.includes('\n'), error.message);
        outcomes.refused += 1;
      }
    }
  }
  assert.ok(outcomes.refused > perFile && outcomes.taken > 0, JSON.stringify(outcomes));
});
