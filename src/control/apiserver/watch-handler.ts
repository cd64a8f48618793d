/**
 * watch: the events of one resource after a revision, in JSON lines or protobuf frames.
 *
 * Frames are made once per event and form and shared by all watchers. A watcher whose client does not read is cut off
 * when its queue is full: it watches again from the last revision it saw, and nobody else waits for it.
 */
import { assert } from '../../env/assert.ts';
import type { CacheEvent, CachedObject } from '../storage/index.ts';
import { withRevision } from '../storage/index.ts';
import { toServed } from './conversion.ts';
import type { RequestContext } from './core.ts';
import { fail } from './errors.ts';
import { type ApiResponse, isSet, type Sink } from './http.ts';
import {
  apiVersionOf,
  encodeProtobufWatchFrame,
  type JsonObject,
  type KubeObject,
  type ResourceSchema,
  type Status,
} from './kinds.ts';
import { contentTypes, type Accepted } from './negotiation.ts';
import { cachedObjects, parseRevision, waitForCache } from './read-handlers.ts';
import { acceptedBy, encodeObject, toJsonText, transformed } from './responses.ts';
import { parseSelection, type Selection } from './selection.ts';

/** Bytes a client may leave unread before it is cut off; a whole resync of a large resource fits. */
const queuedBytesMax = 64 * 1024 * 1024;
/** Watches end by themselves between these, so that clients spread over the servers again. */
const timeoutSecondsMin = 1800;
const timeoutSecondsMax = 3600;
/** Clients resume from the last bookmark; a minute keeps them well inside the window of events. */
const bookmarkMs = 60_000;

type FrameType = 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';

const encoder = new TextEncoder();

/** Frames of an event, kept as long as the event is. */
const framesOfEvent = new WeakMap<CacheEvent, Map<string, Uint8Array>>();

interface WatchPlan {
  readonly resource: ResourceSchema;
  readonly namespace: string | undefined;
  readonly selection: Selection;
  readonly accepted: Accepted;
  readonly allowsBookmarks: boolean;
}

export async function handleWatch(context: RequestContext, resource: ResourceSchema): Promise<ApiResponse> {
  const { core, request, info } = context;
  const { query } = request;
  const accepted = acceptedBy(context, true);
  const plan: WatchPlan = {
    resource,
    namespace: resource.isNamespaced && info.namespace !== '' ? info.namespace : undefined,
    selection: parseSelection(withName(query, info.name), resource),
    accepted: accepted.format === 'yaml' ? { ...accepted, format: 'json' } : accepted,
    allowsBookmarks: isSet(query, 'allowWatchBookmarks'),
  };
  const revision = parseRevision(query.get('resourceVersion'));
  const sendsInitial = isSet(query, 'sendInitialEvents');
  if (query.has('sendInitialEvents') && query.get('resourceVersionMatch') !== 'NotOlderThan') {
    throw fail.invalid({ group: 'meta.k8s.io', kind: 'ListOptions' }, '', [
      {
        reason: 'FieldValueForbidden',
        field: 'resourceVersionMatch',
        message: 'Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan',
      },
    ]);
  }
  if (!core.cache.synced) throw fail.unavailable('the watch cache is not synced yet, try again');
  if (revision === undefined) {
    // The newest state: the client wants to start from now, not from what this server happens to know.
    await waitForCache(context, await core.revisions.current());
  } else if (revision > 0 && sendsInitial) {
    await waitForCache(context, revision);
  }
  // An explicit sendInitialEvents=false with no revision starts from now without the objects.
  const startsEmpty = query.get('sendInitialEvents') === 'false' && !revision;
  const isFull = sendsInitial || (!revision && !startsEmpty);
  const timeoutSeconds = Number(query.get('timeoutSeconds') ?? '0');
  const lifetimeMs =
    1000 * (timeoutSeconds > 0 ? timeoutSeconds : core.random.integer(timeoutSecondsMin, timeoutSecondsMax));
  const format = plan.accepted.format;
  return {
    kind: 'stream',
    status: 200,
    headers: {
      'content-type': format === 'protobuf' ? `${contentTypes.protobuf};stream=watch` : contentTypes.json,
    },
    start: (sink) =>
      new Watcher(context, plan, sink).start(
        isFull ? 'all' : (revision ?? core.cache.revision),
        lifetimeMs,
        sendsInitial,
      ),
  };
}

/** Old-style watches name their object in the path. */
function withName(query: URLSearchParams, name: string): URLSearchParams {
  if (name === '' || (query.get('fieldSelector') ?? '').includes('metadata.name')) return query;
  const copy = new URLSearchParams(query);
  const selector = query.get('fieldSelector');
  copy.set('fieldSelector', `${selector === null || selector === '' ? '' : `${selector},`}metadata.name=${name}`);
  return copy;
}

class Watcher {
  readonly #context: RequestContext;
  readonly #plan: WatchPlan;
  readonly #sink: Sink;
  readonly #cleanups: (() => void)[] = [];
  #isOver = false;
  #isFirstTable = true;

  constructor(context: RequestContext, plan: WatchPlan, sink: Sink) {
    this.#context = context;
    this.#plan = plan;
    this.#sink = sink;
  }

  /** `from` = 'all': the current objects first; a revision: the events after it. Runs in one turn, so nothing is missed. */
  start(from: 'all' | number, lifetimeMs: number, marksInitialEnd: boolean): void {
    const { core } = this.#context;
    const { resource, namespace, selection } = this.#plan;
    const cache = core.cache.resource(resource.storagePrefix);
    if (this.#sink.closed.aborted) return;
    const onClosed = () => this.#stop();
    this.#sink.closed.addEventListener('abort', onClosed, { once: true });
    this.#cleanups.push(() => this.#sink.closed.removeEventListener('abort', onClosed));
    if (from === 'all') {
      for (const item of cachedObjects(this.#context, resource, namespace, selection)) this.#write('ADDED', item);
      if (marksInitialEnd) this.#bookmark({ 'k8s.io/initial-events-end': 'true' });
    } else {
      const missed = cache.eventsAfter(from);
      if (missed === 'expired') {
        this.#error(fail.expired(`too old resource version: ${from} (${core.cache.revision})`).status);
        return;
      }
      for (const event of missed) this.#event(event);
    }
    if (this.#isOver) return;
    this.#cleanups.push(
      cache.listen({ event: (event) => this.#event(event), reset: () => this.#finish() }),
      core.clock.after(lifetimeMs, () => this.#finish()),
    );
    if (this.#plan.allowsBookmarks) this.#cleanups.push(core.clock.every(bookmarkMs, () => this.#bookmark()));
  }

  #event(event: CacheEvent): void {
    if (this.#isOver) return;
    const { resource, namespace, selection } = this.#plan;
    if (namespace !== undefined && !event.current.key.startsWith(`${namespace}/`)) return;
    const matched = event.previous !== undefined && selection.matches(toServed(event.previous.object, resource));
    const matches = event.type === 'put' && selection.matches(toServed(event.current.object, resource));
    if (event.type === 'delete') {
      if (matched) this.#writeEvent('DELETED', event, event.current);
    } else if (matches) {
      this.#writeEvent(matched ? 'MODIFIED' : 'ADDED', event, event.current);
    } else if (matched) {
      // It left the selection: for this client that is a deletion of the last state it has seen.
      this.#writeEvent('DELETED', event, undefined);
    }
  }

  #writeEvent(type: FrameType, event: CacheEvent, state: CachedObject | undefined): void {
    const { accepted, resource } = this.#plan;
    if (accepted.as !== '') {
      const object = state?.object ?? withRevision((event.previous as CachedObject).object, event.revision);
      this.#send(this.#transformedFrame(type, toServed(object, resource)));
      return;
    }
    const name = `${type} ${accepted.format} ${apiVersionOf(resource)} ${state === undefined ? 'left' : 'current'}`;
    let frames = framesOfEvent.get(event);
    if (frames === undefined) {
      frames = new Map();
      framesOfEvent.set(event, frames);
    }
    let frame = frames.get(name);
    if (frame === undefined) {
      const object = state ?? {
        key: event.current.key,
        object: withRevision((event.previous as CachedObject).object, event.revision),
        revision: event.revision,
      };
      frame = this.#frame(type, object);
      frames.set(name, frame);
    }
    this.#send(frame);
  }

  #write(type: FrameType, item: CachedObject): void {
    const { accepted, resource } = this.#plan;
    this.#send(
      accepted.as === '' ? this.#frame(type, item) : this.#transformedFrame(type, toServed(item.object, resource)),
    );
  }

  #frame(type: FrameType, stored: { key: string; object: KubeObject; revision: number }): Uint8Array {
    const { accepted, resource } = this.#plan;
    if (accepted.format === 'protobuf') return encodeProtobufWatchFrame(type, toServed(stored.object, resource));
    return jsonFrame(type, encodeObject(stored, resource, 'json'));
  }

  #transformedFrame(type: FrameType, object: KubeObject): Uint8Array {
    const { accepted, resource } = this.#plan;
    const value = transformed(this.#context, object, resource, accepted);
    if (accepted.as === 'Table') {
      // Columns are only told once, as upstream does.
      if (!this.#isFirstTable) delete value['columnDefinitions'];
      this.#isFirstTable = false;
    }
    return this.#valueFrame(type, value);
  }

  #valueFrame(type: FrameType, value: JsonObject): Uint8Array {
    if (this.#plan.accepted.format === 'protobuf' && this.#plan.accepted.as !== 'Table') {
      return encodeProtobufWatchFrame(type, value);
    }
    return jsonFrame(type, encoder.encode(toJsonText(value)));
  }

  #bookmark(annotations?: Record<string, string>): void {
    const { resource, accepted } = this.#plan;
    const metadata: JsonObject = {
      resourceVersion: String(this.#context.core.cache.revision),
      creationTimestamp: null,
      ...(annotations === undefined ? {} : { annotations }),
    };
    const bare = { kind: resource.kind, apiVersion: apiVersionOf(resource), metadata };
    const value =
      accepted.as === 'Table'
        ? {
            kind: 'Table',
            apiVersion: `meta.k8s.io/${accepted.version}`,
            metadata: { resourceVersion: metadata['resourceVersion'] },
            columnDefinitions: [],
            rows: [{ cells: [], object: { ...bare, kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1' } }],
          }
        : accepted.as !== ''
          ? { ...bare, kind: 'PartialObjectMetadata', apiVersion: `meta.k8s.io/${accepted.version}` }
          : bare;
    this.#send(this.#valueFrame('BOOKMARK', value));
  }

  #error(status: Status): void {
    this.#send(this.#valueFrame('ERROR', status));
    this.#finish();
  }

  #send(frame: Uint8Array): void {
    if (this.#isOver) return;
    assert(frame.length > 0, 'a frame must not be empty');
    this.#sink.write(frame);
    if (this.#sink.queuedBytes > queuedBytesMax) {
      this.#context.core.log.warn('a watcher does not read fast enough and is cut off', {
        resource: this.#plan.resource.resource,
        user: this.#context.user.name,
        queuedBytes: this.#sink.queuedBytes,
      });
      this.#stop();
      this.#sink.abort();
    }
  }

  #finish(): void {
    if (this.#isOver) return;
    this.#stop();
    this.#sink.end();
  }

  #stop(): void {
    this.#isOver = true;
    for (const cleanup of this.#cleanups.splice(0)) cleanup();
  }
}

function jsonFrame(type: FrameType, object: Uint8Array): Uint8Array {
  const last = object[object.length - 1] === 0x0a ? object.length - 1 : object.length;
  return Buffer.concat([
    encoder.encode(`{"type":"${type}","object":`),
    object.subarray(0, last),
    encoder.encode('}\n'),
  ]);
}
