/**
 * A ConfChange as the bytes of a log entry. Layout, all numbers big-endian:
 *
 *   version u8 = 1 | step count u16 | per step: kind u8, replica u64 | context: the rest
 *
 * Decoding checks everything: an entry that does not decode is damage, and damage stops the replica rather than make
 * it disagree about who votes.
 */
import { assert } from '../../env/assert.ts';
import { confChangeStepsMax } from './conf-change.ts';
import { toReplicaId } from './numbers.ts';
import type { ConfChange, ConfChangeStep } from './types.ts';

const formatVersion = 1;
const headerBytes = 3;
const stepBytes = 9;
const kinds: readonly ConfChangeStep['kind'][] = ['addVoter', 'addLearner', 'remove', 'addWitness'];

/** The bytes for an entry of kind `confChange`. */
export function encodeConfChange(change: ConfChange): Uint8Array {
  assert(change.steps.length <= confChangeStepsMax, () => `a change has at most ${confChangeStepsMax} steps`);
  const contextAt = headerBytes + change.steps.length * stepBytes;
  const bytes = new Uint8Array(contextAt + change.context.byteLength);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, formatVersion);
  view.setUint16(1, change.steps.length);
  change.steps.forEach((step, at) => {
    const kind = kinds.indexOf(step.kind);
    assert(kind >= 0, () => `unknown conf change step ${step.kind}`);
    view.setUint8(headerBytes + at * stepBytes, kind);
    view.setBigUint64(headerBytes + at * stepBytes + 1, BigInt(step.replica));
  });
  bytes.set(change.context, contextAt);
  return bytes;
}

/** The change that `encodeConfChange` wrote. */
export function decodeConfChange(bytes: Uint8Array): ConfChange {
  assert(bytes.byteLength >= headerBytes, () => `a conf change of ${bytes.byteLength} bytes is cut off`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  assert(view.getUint8(0) === formatVersion, () => `conf change format ${view.getUint8(0)} is not ${formatVersion}`);
  const count = view.getUint16(1);
  const contextAt = headerBytes + count * stepBytes;
  assert(
    count <= confChangeStepsMax && contextAt <= bytes.byteLength,
    () => `a conf change of ${count} steps is cut off`,
  );
  const steps: ConfChangeStep[] = [];
  for (let at = 0; at < count; at += 1) {
    const kind = kinds[view.getUint8(headerBytes + at * stepBytes)];
    assert(kind !== undefined, 'a conf change step has a known kind');
    steps.push({ kind, replica: toReplicaId(Number(view.getBigUint64(headerBytes + at * stepBytes + 1))) });
  }
  return { steps, context: bytes.slice(contextAt) };
}
