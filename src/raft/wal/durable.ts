/**
 * Durability as a type. A Durable can only come out of a finished sync; without one, a vote or an acknowledgement
 * cannot be taken out of its seal. So "sent before it was on disk" is not a mistake anyone can write.
 */
import { assert } from '../../env/assert.ts';
import type { Message, PersistToken, Sealed } from '../core/types.ts';

const proofs = new WeakSet<object>();

/** Proof that everything up to `token` is on disk. */
export interface Durable {
  readonly token: PersistToken;
}

/** Only the WAL calls this, right after its sync resolved. */
export function mintDurable(token: PersistToken): Durable {
  assert(token > 0, 'a persist token is positive');
  const proof = Object.freeze({ token });
  proofs.add(proof);
  return proof;
}

/** Takes the messages out of their seal. */
export function openSealed(sealed: Sealed, proof: Durable): readonly Message[] {
  assert(proofs.has(proof), 'a durability proof comes from the WAL');
  assert(proof.token >= sealed.token, () => `sealed for token ${sealed.token}, but only ${proof.token} is durable`);
  return sealed.sealedMessages;
}
