/** A throw-away authority and certificates for members on this machine. */
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import type { PeerTls } from '../../../src/raft/host/grpc-transport.ts';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const usages: ('sign' | 'verify')[] = ['sign', 'verify'];

export interface TestAuthority {
  issue(name: string): Promise<PeerTls>;
}

export async function testAuthority(name: string): Promise<TestAuthority> {
  x509.cryptoProvider.set(crypto);
  const keys = await crypto.subtle.generateKey(algorithm, true, usages);
  const validity = { notBefore: new Date(Date.now() - 3_600_000), notAfter: new Date(Date.now() + 3_600_000) };
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=${name}`,
    keys,
    signingAlgorithm: algorithm,
    ...validity,
    extensions: [new x509.BasicConstraintsExtension(true, undefined, true)],
  });
  return {
    async issue(subject) {
      const own = await crypto.subtle.generateKey(algorithm, true, usages);
      const certificate = await x509.X509CertificateGenerator.create({
        subject: `CN=${subject}`,
        issuer: root.subject,
        publicKey: own.publicKey,
        signingKey: keys.privateKey,
        signingAlgorithm: algorithm,
        ...validity,
        extensions: [
          new x509.SubjectAlternativeNameExtension([
            { type: 'ip', value: '127.0.0.1' },
            { type: 'dns', value: 'localhost' },
          ]),
          new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
        ],
      });
      const key = x509.PemConverter.encode(await crypto.subtle.exportKey('pkcs8', own.privateKey), 'PRIVATE KEY');
      return {
        ca: Buffer.from(root.toString('pem')),
        cert: Buffer.from(certificate.toString('pem')),
        key: Buffer.from(key),
      };
    },
  };
}
