/**
 * Objects as the store keeps them: JSON bytes without resourceVersion, which is the key's modRevision and set on read.
 */
import type { KeyValue } from '../../kv/index.ts';
import { assert } from '../../env/assert.ts';
import { KeelsonError } from '../../env/errors.ts';
import type { KubeObject } from '../api/contract.ts';
import { bytesOf, textOf } from './keys.ts';

/** One state of one object. Shared between requests: it must not be changed. */
export interface StoredObject {
  /** Short key: `<namespace>/<name>` or `<name>`. */
  readonly key: string;
  readonly object: KubeObject;
  /** modRevision of this state; equals object.metadata.resourceVersion. */
  readonly revision: number;
}

export function encodeStored(object: KubeObject): Uint8Array {
  assert(object.kind !== undefined && object.apiVersion !== undefined, 'a stored object must have a kind');
  const { resourceVersion: _, ...metadata } = object.metadata;
  return bytesOf(JSON.stringify({ ...object, metadata }));
}

/** Throws KeelsonError CORRUPT_OBJECT when the bytes are not an object. */
export function decodeStored(key: string, kv: KeyValue): StoredObject {
  assert(kv.modRevision > 0, `key ${key} must have a revision`);
  let object: KubeObject;
  try {
    object = JSON.parse(textOf(kv.value));
  } catch (error) {
    throw new KeelsonError(
      'CORRUPT_OBJECT',
      `cannot read object ${key} at revision ${kv.modRevision}: its value is not JSON; delete the key in the store`,
      { cause: error },
    );
  }
  if (typeof object !== 'object' || object === null || typeof object.metadata !== 'object') {
    throw new KeelsonError(
      'CORRUPT_OBJECT',
      `cannot read object ${key} at revision ${kv.modRevision}: it has no metadata; delete the key in the store`,
    );
  }
  object.metadata.resourceVersion = String(kv.modRevision);
  return { key, object, revision: kv.modRevision };
}

/** The same state under another revision: what a watch shows for a deleted object. */
export function withRevision(object: KubeObject, revision: number): KubeObject {
  return { ...object, metadata: { ...object.metadata, resourceVersion: String(revision) } };
}
