/**
 * One Watch stream: any number of watches, answered in order over one gRPC stream.
 *
 * A client that reads slowly fills the stream's write buffer; from then on the watches pause, the store keeps nothing
 * for them, and they go on from their revision when the buffer has drained. A progress answer for the whole stream is
 * given only while every watch has been handed everything up to the head.
 */
import { assert } from '../../env/assert.ts';
import type { Cancel } from '../../env/clock.ts';
import type { KvErrorCode, KvEvent, WatchRequest } from '../api.ts';
import { grpcStatus } from '../../rpc/grpc-status.ts';
import { kvErrors } from '../errors.ts';
import type { Watcher, WatchSink } from '../mvcc/contract.ts';
import type { From } from '../server/auth-contract.ts';
import type { KvServer } from '../server/contract.ts';
import type { SharedAnswer } from '../../rpc/shared-message.ts';
import { headerOf } from './call.ts';
import { fromWireWatch } from './codec-server.ts';
import { saturate, toWireEvents } from './codec-values.ts';
import { bytesOfEvent, type EventBatches } from './event-batch.ts';
import type { Out, WireWatchCreateRequest, WireWatchRequest, WireWatchResponse } from './wire.ts';

/** Answers that concern no single watch. */
const noWatchId = -1;
/** While some watch still catches up, a wanted progress answer is looked after this often. */
const progressRetryMs = 50;
/** Watches on one stream; a client that wants more opens another stream. */
const watchesMax = 100_000;

export interface WatchStreamOptions {
  readonly server: KvServer;
  /** Who watches. */
  readonly from?: From;
  /** Holds the client back until `work` is done. */
  readonly hold?: (work: Promise<void>) => void;
  /** False = the buffer is full: `drained` will be called. */
  readonly write: (response: Out<WireWatchResponse>) => boolean;
  /** The same, of what goes to many watches. */
  readonly writeShared: (response: SharedAnswer<Out<WireWatchResponse>>, watchId: number) => boolean;
  readonly batches: EventBatches;
  readonly progressEveryMs: number;
  /** Bytes of events after which a response is split for a client that asked for fragments. */
  readonly fragmentBytes: number;
}

/** One watch, to which the store hands its events; what it says goes out over its stream. */
class ServedWatch implements WatchSink {
  readonly id: number;
  readonly wantsProgress: boolean;
  readonly wantsFragments: boolean;
  /** 0 = when it was created. */
  readonly startRevision: number;
  readonly #stream: WatchTeller;
  hasSentSinceTick = true;
  /** Ended by a compaction. As in etcd its id stays taken until the client cancels it. */
  isOver = false;
  watcher: Watcher | undefined = undefined;

  constructor(id: number, request: Out<WireWatchCreateRequest>, startRevision: number, stream: WatchTeller) {
    this.id = id;
    this.wantsProgress = request.progressNotify ?? false;
    this.wantsFragments = request.fragment ?? false;
    this.startRevision = startRevision;
    this.#stream = stream;
  }

  events(events: readonly KvEvent[], revision: number): boolean {
    return this.#stream.tellEvents(this, events, revision);
  }

  compacted(compactRevision: number): void {
    this.#stream.tellCompacted(this, compactRevision);
  }
}

/** What a watch needs of its stream. */
interface WatchTeller {
  tellEvents(watch: ServedWatch, events: readonly KvEvent[], revision: number): boolean;
  tellCompacted(watch: ServedWatch, compactRevision: number): void;
}

export class WatchStream implements WatchTeller {
  readonly #options: WatchStreamOptions;
  readonly #server: KvServer;
  readonly #watches = new Map<number, ServedWatch>();
  /** Those that wait for room, the one that has waited longest first. */
  readonly #paused = new Set<ServedWatch>();
  readonly #wantingProgress = new Set<ServedWatch>();
  #cancelTicks: Cancel | undefined = undefined;
  #nextId = 0;
  #isFull = false;
  #isClosed = false;
  #cancelProgressRetry: Cancel | undefined;

  constructor(options: WatchStreamOptions) {
    this.#options = options;
    this.#server = options.server;
  }

  take(request: Out<WireWatchRequest>): void {
    assert(!this.#isClosed, 'a closed watch stream takes no requests');
    if (request.createRequest) this.#create(request.createRequest);
    else if (request.cancelRequest) this.#cancel(saturate(request.cancelRequest.watchId));
    else if (request.progressRequest) this.#answerProgress();
  }

  /** The write buffer has room again. */
  drained(): void {
    this.#isFull = false;
    // One that is paused again goes to the end, so that none waits for ever behind a busy one.
    for (const watch of this.#paused) {
      if (this.#isFull) return;
      this.#paused.delete(watch);
      watch.watcher?.resume();
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#cancelTicks?.();
    this.#cancelProgressRetry?.();
    for (const watch of this.#watches.values()) watch.watcher?.cancel();
    this.#watches.clear();
    this.#paused.clear();
    this.#wantingProgress.clear();
  }

  #create(request: Out<WireWatchCreateRequest>): void {
    const watchRequest = fromWireWatch(request);
    const error = this.#server.watchRefusal(watchRequest, this.#options.from);
    if (!(error instanceof Promise)) return this.#begin(request, watchRequest, error);
    const { hold } = this.#options;
    assert(hold, 'whoever may have to wait can be held back');
    hold(error.then((decided) => this.#isClosed || this.#begin(request, watchRequest, decided)).then(() => undefined));
  }

  #begin(request: Out<WireWatchCreateRequest>, watchRequest: WatchRequest, error: KvErrorCode | undefined): void {
    const wanted = saturate(request.watchId);
    if (error !== undefined) return this.#refuse(denialReason(error));
    const { key, rangeEnd } = watchRequest;
    const isFromKeyOn = rangeEnd.length === 1 && rangeEnd[0] === 0;
    if (rangeEnd.length > 0 && !isFromKeyOn && Buffer.compare(key, rangeEnd) >= 0) {
      return this.#refuse('mvcc: watcher range is empty');
    }
    if (wanted !== 0 && this.#watches.has(wanted)) {
      return this.#refuse('mvcc: duplicate watch ID provided on the WatchStream');
    }
    if (this.#watches.size >= watchesMax) return this.#refuse(kvErrors.tooManyRequests[1]);
    const id = wanted === 0 ? this.#freeId() : wanted;
    const watch = new ServedWatch(id, request, watchRequest.startRevision, this);
    this.#watches.set(id, watch);
    if (watch.wantsProgress) this.#startTicks(watch);
    this.#write({ header: headerOf(this.#server), watchId: id, created: true });
    const watcher = this.#server.watch(watchRequest, watch);
    // An old start revision that is compacted has ended the watch by now.
    if (!watch.isOver && this.#watches.get(id) === watch) watch.watcher = watcher;
    else watcher.cancel();
  }

  #refuse(cancelReason: string): void {
    this.#write({ header: headerOf(this.#server), watchId: noWatchId, created: true, canceled: true, cancelReason });
  }

  #freeId(): number {
    while (this.#watches.has(this.#nextId)) this.#nextId++;
    return this.#nextId++;
  }

  tellEvents(watch: ServedWatch, events: readonly KvEvent[], revision: number): boolean {
    assert(events.length > 0, 'a watch is told of events, not of none');
    watch.hasSentSinceTick = true;
    const { batches, fragmentBytes, writeShared } = this.#options;
    const batch = batches.of(events, revision);
    const isSplit = watch.wantsFragments && batch.bytes > fragmentBytes;
    if (isSplit || watch.id < 0) this.#tellInParts(watch, events, revision);
    else if (!this.#isClosed && !writeShared(batch, watch.id)) this.#isFull = true;
    if (this.#isFull && !this.#isClosed) this.#paused.add(watch);
    return !this.#isFull;
  }

  #tellInParts({ id, wantsFragments }: ServedWatch, events: readonly KvEvent[], revision: number): void {
    const header = headerOf(this.#server, revision);
    const parts = wantsFragments ? this.#fragments(events) : [events];
    parts.forEach((part, position) => {
      const isPiece = position < parts.length - 1;
      this.#write({ header, watchId: id, events: toWireEvents(part), ...(isPiece ? { fragment: true } : {}) });
    });
  }

  tellCompacted(watch: ServedWatch, compactRevision: number): void {
    watch.isOver = true;
    watch.watcher = undefined;
    this.#forget(watch);
    // etcd gives neither a revision nor a reason: the compacted revision says it all.
    this.#write({ header: headerOf(this.#server, 0), watchId: watch.id, canceled: true, compactRevision });
  }

  #fragments(events: readonly KvEvent[]): readonly (readonly KvEvent[])[] {
    const parts: KvEvent[][] = [];
    let bytes = Number.POSITIVE_INFINITY;
    for (const event of events) {
      const eventBytes = bytesOfEvent(event);
      if (bytes + eventBytes > this.#options.fragmentBytes) {
        parts.push([]);
        bytes = 0;
      }
      parts.at(-1)?.push(event);
      bytes += eventBytes;
    }
    return parts;
  }

  #cancel(id: number): void {
    const watch = this.#watches.get(id);
    if (!watch) return;
    this.#watches.delete(id);
    this.#forget(watch);
    watch.watcher?.cancel();
    this.#write({ header: headerOf(this.#server), watchId: id, canceled: true });
  }

  #answerProgress(): void {
    if (this.#isClosed || this.#cancelProgressRetry) return;
    // A watch that begins later has seen nothing yet: as etcd, this stream then says nothing.
    const { revision } = this.#server.position();
    for (const watch of this.#watches.values()) if (watch.startRevision > revision) return;
    if (this.#isInSync()) {
      this.#write({ header: headerOf(this.#server), watchId: noWatchId });
      return;
    }
    this.#cancelProgressRetry = this.#server.clock.after(progressRetryMs, () => {
      this.#cancelProgressRetry = undefined;
      this.#answerProgress();
    });
  }

  #isInSync(): boolean {
    for (const watch of this.#watches.values()) {
      if (watch.isOver) continue;
      if (this.#paused.has(watch) || !watch.watcher?.isSynced()) return false;
    }
    return true;
  }

  #startTicks(watch: ServedWatch): void {
    this.#wantingProgress.add(watch);
    this.#cancelTicks ??= this.#server.clock.every(this.#options.progressEveryMs, () => this.#tick());
  }

  #forget(watch: ServedWatch): void {
    this.#paused.delete(watch);
    if (!this.#wantingProgress.delete(watch) || this.#wantingProgress.size > 0) return;
    this.#cancelTicks?.();
    this.#cancelTicks = undefined;
  }

  #tick(): void {
    const { revision } = this.#server.position();
    for (const watch of this.#wantingProgress) {
      // Who goes on from what he was told of progress would come to be before where a watch of what is to come begins.
      const hasBegun = watch.startRevision <= revision;
      if (hasBegun && !watch.hasSentSinceTick && !this.#paused.has(watch) && watch.watcher?.isSynced()) {
        this.#write({ header: headerOf(this.#server), watchId: watch.id });
      }
      watch.hasSentSinceTick = false;
    }
  }

  #write(response: Out<WireWatchResponse>): void {
    if (this.#isClosed) return;
    if (!this.#options.write(response)) this.#isFull = true;
  }
}

/** In the form in which Go's gRPC prints a status: clients compare with it to know that they need a new token. */
function denialReason(error: KvErrorCode): string {
  const known = error === 'invalidAuthToken' || error === 'authOldRevision' || error === 'userEmpty';
  const [code, text] = kvErrors[known ? error : 'permissionDenied'];
  const name =
    code === grpcStatus.unauthenticated
      ? 'Unauthenticated'
      : code === grpcStatus.permissionDenied
        ? 'PermissionDenied'
        : 'InvalidArgument';
  return `rpc error: code = ${name} desc = ${text}`;
}
