/** Objects over the store: the storage, the watch cache and what they hand out. */

/** The store itself: whoever builds the parts below passes it on, and closes it at the end. */
export type { KvClient } from '../../kv/index.ts';
export { decodeContinue, encodeContinue, type ContinueToken } from './continue-token.ts';
export { SharedLeases } from './event-leases.ts';
export { bytesOf, registryRoot, shortKey, storeKey, textOf } from './keys.ts';
export { type Change, type ObjectRef, ObjectStorage, type Page, type UpdateOutcome } from './object-storage.ts';
export { CachedObject, type CacheEvent, type CacheListener, ResourceCache } from './resource-cache.ts';
export { RevisionReader } from './revision-reader.ts';
export { ServerLeases } from './server-leases.ts';
export { type StoreFailure, storeFailureOf } from './store-failure.ts';
export { type StoredObject, withRevision } from './stored-object.ts';
export { WatchCache } from './watch-cache.ts';
