/**
 * A watch that outlives members: one gRPC stream at a time, and a new one from the next revision when it breaks.
 *
 * Each watch has a stream of its own, so that HTTP/2 holds a slow watch back alone and a progress answer is about this
 * watch. Streams ask for a leader: a member cut off from the others ends them, and the watch moves on. So it does when
 * the member falls silent.
 *
 * Invariant: a new stream starts after the last event that was handed out, or after a progress answer for this watch. An
 * answer to `requestProgress` moves nothing: etcd before 3.4.25 and 3.5.8 may give it ahead of events that it still has to
 * send, which are then handed out late and must not be lost to a reconnection.
 */
import * as grpc from '@grpc/grpc-js';
import { assert, present } from '../../env/assert.ts';
import type { Cancel, Clock } from '../../env/clock.ts';
import { KeelsonError } from '../../env/errors.ts';
import { fromInt64, safeNumberFromInt64 } from '../../proto/int64.ts';
import type { WatchRequest } from '../api.ts';
import { KvError } from '../errors.ts';
import { fromWireEvent } from '../rpc/codec-values.ts';
import { watchService } from '../rpc/services.ts';
import type { Out, WireWatchRequest, WireWatchResponse } from '../rpc/wire.ts';
import type { Attendance, Connections } from './connections.ts';
import type { WatchListener } from './contract.ts';
import { isFinalForWatch, isTransient, kvErrorCodeOf, toClientError } from './failures.ts';

/** Pause before a new stream: doubles from the first to the last while nothing arrives. */
const reconnectPauseMs = { first: 50, last: 1_000 } as const;
const connectTimeoutMs = 2_000;
/** The watch id of answers that concern the whole stream. */
const noWatchId = -1n;

type WatchStream = grpc.ClientDuplexStream<Out<WireWatchRequest>, WireWatchResponse>;

export class ResumingWatch {
  readonly #connections: Connections;
  readonly #clock: Clock;
  readonly #request: WatchRequest & { readonly progressNotify?: boolean };
  readonly #listener: WatchListener;
  readonly #onOver: () => void;
  /** Revision that the next stream starts at; 0 = from now on. Everything below has been handed out. */
  #nextRevision: number;
  #hasCreated = false;
  #isOver = false;
  /** A progress request that no answer has come for yet; asked again on a new stream. */
  #wantsProgress = false;
  #stream: WatchStream | undefined;
  #endpoint = '';
  /** What went with the stream. */
  #sent = new grpc.Metadata();
  #attendance: Attendance | undefined;
  #isStreamCreated = false;
  #pauseMs: number = reconnectPauseMs.first;
  #cancelPause: Cancel | undefined;

  constructor(
    connections: Connections,
    clock: Clock,
    request: WatchRequest & { readonly progressNotify?: boolean },
    listener: WatchListener,
    onOver: () => void,
  ) {
    this.#connections = connections;
    this.#clock = clock;
    this.#request = request;
    this.#listener = listener;
    this.#onOver = onOver;
    this.#nextRevision = request.startRevision;
  }

  start(): void {
    void this.#open();
  }

  cancel(): void {
    this.#finish();
  }

  requestProgress(): void {
    this.#wantsProgress = true;
    if (this.#isStreamCreated) this.#stream?.write({ progressRequest: {} });
  }

  async #open(): Promise<void> {
    const endpoint = this.#connections.current();
    const isConnected = await this.#connections.connect(endpoint, connectTimeoutMs);
    if (this.#isOver) return;
    if (!isConnected) return this.#reopen(endpoint);
    const method = present(watchService['Watch'], 'Watch method');
    const metadata = await this.#metadata(endpoint);
    if (metadata === undefined || this.#isOver) return;
    metadata.set('hasleader', 'true');
    this.#sent = metadata;
    const stream: WatchStream = this.#connections
      .get(endpoint)
      .makeBidiStreamRequest(method.path, method.requestSerialize, method.responseDeserialize, metadata);
    this.#stream = stream;
    this.#endpoint = endpoint;
    this.#isStreamCreated = false;
    const attendance = this.#connections.attend(endpoint, () => {
      if (this.#stream === stream) this.#reopen(endpoint);
    });
    this.#attendance = attendance;
    stream.on('data', (response: WireWatchResponse) => {
      if (this.#stream !== stream) return;
      attendance.heard();
      this.#take(response);
    });
    stream.on('error', (error: grpc.ServiceError) => {
      if (this.#stream !== stream || this.#isOver) return;
      if (isFinalForWatch(error)) this.#end({ kind: 'error', error: toClientError(error, 'store Watch') });
      else this.#reopen(endpoint);
    });
    stream.on('end', () => {
      if (this.#stream === stream && !this.#isOver) this.#reopen(endpoint);
    });
    const { key, rangeEnd, prevKv, noPut, noDelete, progressNotify } = this.#request;
    const filters = [...(noPut ? [0] : []), ...(noDelete ? [1] : [])];
    stream.write({
      createRequest: {
        key,
        rangeEnd,
        prevKv,
        filters,
        startRevision: this.#nextRevision,
        progressNotify: progressNotify ?? false,
      },
    });
  }

  /** Undefined when the watch cannot go on here; what becomes of it has been seen to. */
  async #metadata(endpoint: string): Promise<grpc.Metadata | undefined> {
    const { session } = this.#connections;
    if (session === undefined) return new grpc.Metadata();
    try {
      return await session.metadata(this.#connections.get(endpoint), connectTimeoutMs);
    } catch (error) {
      if (this.#isOver) return undefined;
      const failure = error as grpc.ServiceError;
      if (isTransient(failure) || failure.code === grpc.status.DEADLINE_EXCEEDED) this.#reopen(endpoint);
      else this.#end({ kind: 'error', error: toClientError(failure, 'store Watch') });
      return undefined;
    }
  }

  #take(response: WireWatchResponse): void {
    const revision = safeNumberFromInt64(response.header?.revision);
    if (response.canceled) return this.#takeCancel(response);
    this.#pauseMs = reconnectPauseMs.first;
    if (response.created) {
      this.#isStreamCreated = true;
      if (this.#nextRevision === 0) this.#nextRevision = revision + 1;
      if (!this.#hasCreated) {
        this.#hasCreated = true;
        this.#listener.created(revision);
      }
      if (this.#wantsProgress && !this.#isOver) this.#stream?.write({ progressRequest: {} });
    }
    if (response.events.length > 0) {
      const events = response.events.map(fromWireEvent);
      const last = present(events.at(-1), 'last event').kv.modRevision;
      assert(last >= this.#nextRevision, () => `watch events come in order: ${last} after ${this.#nextRevision - 1}`);
      // Without fragments, which are not asked for, a response holds whole revisions.
      this.#nextRevision = last + 1;
      this.#listener.events(events, revision);
    } else if (!response.created && this.#isStreamCreated) {
      this.#wantsProgress = false;
      if (fromInt64(response.watchId) !== noWatchId) this.#nextRevision = Math.max(this.#nextRevision, revision + 1);
      this.#listener.progress(revision);
    }
  }

  #takeCancel(response: WireWatchResponse): void {
    const compactRevision = safeNumberFromInt64(response.compactRevision);
    if (compactRevision > 0) return this.#end({ kind: 'compacted', compactRevision });
    // What a member says about permission comes in the form of Go's gRPC.
    const reason = response.cancelReason.replace(/^rpc error: code = \w+ desc = /, '');
    if (this.#connections.session?.isRefusal(reason, this.#sent)) return this.#reopen(this.#endpoint);
    const code = kvErrorCodeOf(reason);
    if (code === 'compacted') return this.#end({ kind: 'compacted', compactRevision });
    if (code === 'noLeader' || code === 'stopped') return this.#reopen(this.#endpoint);
    const error = code
      ? new KvError(code)
      : new KeelsonError(
          'WATCH_CANCELLED',
          `store Watch: the server ended it: ${response.cancelReason || 'no reason given'}`,
        );
    this.#end({ kind: 'error', error });
  }

  #reopen(endpoint: string): void {
    this.#dropStream();
    this.#connections.moveOn(endpoint);
    const pauseMs = this.#pauseMs;
    this.#pauseMs = Math.min(pauseMs * 2, reconnectPauseMs.last);
    this.#cancelPause?.();
    this.#cancelPause = this.#clock.after(pauseMs, () => {
      this.#cancelPause = undefined;
      if (!this.#isOver && !this.#connections.isClosed()) void this.#open();
    });
  }

  #end(reason: Parameters<WatchListener['ended']>[0]): void {
    if (this.#isOver) return;
    this.#finish();
    this.#listener.ended(reason);
  }

  #finish(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#cancelPause?.();
    this.#dropStream();
    this.#onOver();
  }

  #dropStream(): void {
    const stream = this.#stream;
    this.#stream = undefined;
    this.#isStreamCreated = false;
    this.#attendance?.leave();
    this.#attendance = undefined;
    if (!stream) return;
    // A cancelled stream still reports its end; nobody listens to it any more.
    stream.on('error', () => undefined);
    stream.cancel();
  }
}
