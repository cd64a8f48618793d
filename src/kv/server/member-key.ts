/**
 * A member's key pair: Ed25519, made with the data directory and never leaving it. The public half stands in the member
 * table, which makes a member known by its key; addresses are data. Who comes back under an old id with another key
 * has lost its directory, and with it its votes: the others refuse it.
 *
 * The private half is kept as its 32-byte seed, `<dir>/member.key`, base64url, one line.
 */
import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { assert } from '../../env/assert.ts';
import type { Disk } from '../../env/disk.ts';
import { KeelsonError } from '../../env/errors.ts';
import { makeDirectoryDurable, readTextIfAny, writeFileAtomic } from '../../env/files.ts';
import type { Random } from '../../env/random.ts';

const seedBytes = 32;
const publicKeyBytes = 32;
/** DER around a raw seed and a raw public key (RFC 8410). */
const pkcs8Prefix = Buffer.from('302e020100300506032b657004220420', 'hex');
const spkiPrefix = Buffer.from('302a300506032b6570032100', 'hex');

export interface MemberKey {
  /** 32 bytes, base64url: what the others know. */
  readonly publicKey: string;
  sign(text: string): string;
}

/** The directory's key; made when there is none. */
export async function openMemberKey(disk: Disk, random: Random, directory: string): Promise<MemberKey> {
  const path = `${directory}/member.key`;
  const text = await readTextIfAny(disk, path);
  if (text !== undefined) return memberKeyOf(Buffer.from(text.trim(), 'base64url'), path);
  const seed = Buffer.from(random.bytes(seedBytes));
  await makeDirectoryDurable(disk, directory);
  await writeFileAtomic(disk, path, `${seed.toString('base64url')}\n`);
  return memberKeyOf(seed, path);
}

function memberKeyOf(seed: Buffer, path: string): MemberKey {
  if (seed.length !== seedBytes) {
    throw new KeelsonError(
      'DATA_DAMAGED',
      `read ${path}: a member key has ${seedBytes} bytes, not ${seed.length}: restore it from a backup, or remove this member and add it again with an empty data directory`,
    );
  }
  const key = createPrivateKey({ key: Buffer.concat([pkcs8Prefix, seed]), format: 'der', type: 'pkcs8' });
  const spki = createPublicKey(key).export({ format: 'der', type: 'spki' });
  const publicKey = spki.subarray(spkiPrefix.length).toString('base64url');
  assert(Buffer.from(publicKey, 'base64url').length === publicKeyBytes, 'a public key has 32 bytes');
  return { publicKey, sign: (text) => sign(null, Buffer.from(text), key).toString('base64url') };
}

/** Whether the owner of `publicKey` signed `text`. Never throws: both come from the network. */
export function isSignedBy(publicKey: string, text: string, signature: string): boolean {
  const raw = Buffer.from(publicKey, 'base64url');
  if (raw.length !== publicKeyBytes) return false;
  let key: KeyObject;
  try {
    key = createPublicKey({ key: Buffer.concat([spkiPrefix, raw]), format: 'der', type: 'spki' });
  } catch {
    return false;
  }
  return verify(null, Buffer.from(text), key, Buffer.from(signature, 'base64url'));
}

/** What a member signs when it has moved. The addresses it moved from are in it, so that it says nothing a second time. */
export function addressText(statement: {
  readonly clusterId: number;
  readonly memberId: number;
  readonly fromUrls: readonly string[];
  readonly toUrls: readonly string[];
}): string {
  const { clusterId, memberId, fromUrls, toUrls } = statement;
  assert(clusterId > 0 && memberId > 0, 'a statement is about a member of a cluster');
  return JSON.stringify(['keelson address 1', clusterId, memberId, [...fromUrls].sort(), [...toUrls].sort()]);
}
