/**
 * What a range request answers, in etcd's order of doing things:
 *
 * 1. `count` is the number of live keys in the interval at the revision, whatever limit and filters say.
 * 2. Without filters and sorting only limit + 1 keys are fetched, in key order; otherwise all of them.
 * 3. The four min/max filters drop, then the sort orders (a target other than the key sorts ascending unless told
 *    otherwise), then the limit cuts; `more` says that it cut something.
 * 4. `keysOnly` empties the values last, so that sorting by value still works.
 */
import { assert } from '../../env/assert.ts';
import { type KeyValue, noBytes, type RangeRequest, type RangeResult } from '../api.ts';
import { asBuffer } from '../backend/bytes.ts';
import type { FoundRevision, KeyEntry } from './key-index.ts';

/** The live keys in the interval, in key order, and how to get a key's version, which may have to be read from disk. */
export interface RangeSource {
  forEach(visit: (entry: KeyEntry, found: FoundRevision | undefined) => void): void;
  load(entry: KeyEntry, found: FoundRevision | undefined): KeyValue;
}

export function selectRange(request: RangeRequest, source: RangeSource): RangeResult {
  assert(request.limit >= 0, () => `a range limit cannot be ${request.limit}`);
  const fetchMax = request.countOnly ? 0 : fetchLimit(request);
  let count = 0;
  let kvs: KeyValue[] = [];
  source.forEach((entry, found) => {
    if (count < fetchMax) kvs.push(source.load(entry, found));
    count += 1;
  });
  if (request.countOnly) return { kvs: [], more: false, count };

  if (hasFilter(request)) kvs = kvs.filter((kv) => passes(request, kv));
  sortKvs(kvs, request);
  const more = request.limit > 0 && kvs.length > request.limit;
  if (more) kvs.length = request.limit;
  if (request.keysOnly) kvs = kvs.map((kv) => ({ ...kv, value: noBytes }));
  assert(kvs.length <= count, 'no more keys are answered than counted');
  return { kvs, more, count };
}

function fetchLimit(request: RangeRequest): number {
  if (request.limit === 0 || request.sortOrder !== 'none' || hasFilter(request)) return Number.POSITIVE_INFINITY;
  return request.limit + 1;
}

function hasFilter(request: RangeRequest): boolean {
  return (
    request.minModRevision !== 0 ||
    request.maxModRevision !== 0 ||
    request.minCreateRevision !== 0 ||
    request.maxCreateRevision !== 0
  );
}

function passes(request: RangeRequest, kv: KeyValue): boolean {
  return (
    (request.maxModRevision === 0 || kv.modRevision <= request.maxModRevision) &&
    (request.minModRevision === 0 || kv.modRevision >= request.minModRevision) &&
    (request.maxCreateRevision === 0 || kv.createRevision <= request.maxCreateRevision) &&
    (request.minCreateRevision === 0 || kv.createRevision >= request.minCreateRevision)
  );
}

/** Sorts in place. Equal ones keep key order, ascending in either direction, as in etcd for lists that are not long. */
function sortKvs(kvs: KeyValue[], request: RangeRequest): void {
  const { sortTarget, sortOrder } = request;
  if (sortTarget === 'key') {
    if (sortOrder === 'descend') kvs.reverse();
    return;
  }
  const direction = sortOrder === 'descend' ? -1 : 1;
  kvs.sort((a, b) => direction * compareBy(sortTarget, a, b));
}

function compareBy(target: 'version' | 'create' | 'mod' | 'value', a: KeyValue, b: KeyValue): number {
  switch (target) {
    case 'version':
      return a.version - b.version;
    case 'create':
      return a.createRevision - b.createRevision;
    case 'mod':
      return a.modRevision - b.modRevision;
    case 'value':
      return asBuffer(a.value).compare(b.value);
  }
}
