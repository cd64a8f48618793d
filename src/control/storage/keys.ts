/**
 * Where objects live in the store: `/registry/<storagePrefix>/<namespace>/<name>`, without the namespace for
 * cluster-scoped kinds. Nothing outside this folder builds or reads such keys.
 *
 * Inside a resource an object is known by its short key, `<namespace>/<name>` or `<name>`; short keys sort like the
 * store's keys, so pages of the cache and pages of the store line up.
 */
import { assert } from '../../env/assert.ts';

export const registryRoot = '/registry/';

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** `/registry/pods/` for the storage prefix `pods`. */
export function prefixOf(storagePrefix: string): string {
  assert(storagePrefix.length > 0 && !storagePrefix.startsWith('/'), `storage prefix ${storagePrefix} is malformed`);
  return `${registryRoot}${storagePrefix}/`;
}

/** `<namespace>/<name>`, or `<name>` when there is no namespace. */
export function shortKey(namespace: string, name: string): string {
  return namespace === '' ? name : `${namespace}/${name}`;
}

export function storeKey(storagePrefix: string, short: string): Uint8Array {
  assert(short.length > 0, 'an object key must not be empty');
  return encoder.encode(prefixOf(storagePrefix) + short);
}

export function bytesOf(text: string): Uint8Array {
  return encoder.encode(text);
}

export function textOf(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

/** The end of the half-open interval that holds every key starting with `prefix`. */
export function prefixEnd(prefix: string): Uint8Array {
  const bytes = encoder.encode(prefix);
  assert(bytes.length > 0, 'a prefix must not be empty');
  const last = bytes.length - 1;
  assert((bytes[last] as number) < 0xff, 'a prefix must not end in the highest byte');
  bytes[last] = (bytes[last] as number) + 1;
  return bytes;
}

/**
 * Splits a store key into storage prefix and short key. A storage prefix is one segment (`pods`) or two
 * (`services/specs`); `known` tells which. Undefined for keys that belong to no resource.
 */
export function splitKey(
  key: string,
  known: { has(storagePrefix: string): boolean },
): { readonly storagePrefix: string; readonly short: string } | undefined {
  if (!key.startsWith(registryRoot)) return undefined;
  let slash = key.indexOf('/', registryRoot.length);
  for (let segments = 0; segments < 2 && slash > 0; segments++) {
    const storagePrefix = key.slice(registryRoot.length, slash);
    if (known.has(storagePrefix) && slash + 1 < key.length) return { storagePrefix, short: key.slice(slash + 1) };
    slash = key.indexOf('/', slash + 1);
  }
  return undefined;
}
