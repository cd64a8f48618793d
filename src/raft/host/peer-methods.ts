/**
 * What other members call on this one (proto/raft.proto): the stream of messages and the stream of a snapshot. Whoever the
 * door does not let in is told why; what is no message ends its stream.
 */
import type { Env } from '../../env/env.ts';
import { errorText, KeelsonError } from '../../env/errors.ts';
import { grpcStatus } from '../../rpc/grpc-status.ts';
import type { AnswerStream, Codec, RequestSink, RpcMethod, StatusError } from '../../rpc/service.ts';
import type { Message, ReplicaId } from '../core/types.ts';
import type { TransportHandlers } from './contract.ts';
import { encodeStagedBytes } from './grpc-words.ts';
import { snapshotPath, streamPath } from './grpc-wire.ts';
import { fromProto } from './message-codec.ts';
import { decodeBatch } from './message-wire.ts';
import { type PeerDoor, refusalOfPeer } from './peer-door.ts';
import type { PeerTraffic } from './peer-traffic.ts';
import { SnapshotIntake } from './snapshot-intake.ts';
import { decodePart } from './snapshot-parts.ts';

export interface PeerMethodsOptions {
  readonly env: Pick<Env, 'clock' | 'log'>;
  readonly selfId: ReplicaId;
  readonly door: PeerDoor;
  readonly traffic?: PeerTraffic;
  /** A peer was let in, so that it can be reached. */
  readonly came: (peer: ReplicaId) => void;
  /** Undefined until this member runs, and once it does not any more. */
  readonly handlers: () => TransportHandlers | undefined;
}

/** The messages of this service have no fields on the way back. */
const emptyAnswer = new Uint8Array(0);
const asBytes: Codec<object, object> = { decode: (bytes) => bytes, encode: () => emptyAnswer };

interface IncomingStream {
  readonly key: string | undefined;
  fail(status: StatusError): void;
}

const nobody: RequestSink<object> = {
  request: () => undefined,
  ended: () => undefined,
  drained: () => undefined,
  gone: () => undefined,
};

export class PeerMethods {
  readonly #options: PeerMethodsOptions;
  /** The newest stream of each sender; an older one is ended, so that a half-dead connection cannot linger. */
  readonly #incoming = new Map<ReplicaId, IncomingStream>();
  readonly methods: readonly RpcMethod[];

  constructor(options: PeerMethodsOptions) {
    this.#options = options;
    this.methods = [
      {
        kind: 'stream',
        path: streamPath,
        isRequestStream: true,
        codec: asBytes,
        open: (answers) => this.#onStream(answers),
      },
      {
        kind: 'stream',
        path: snapshotPath,
        isRequestStream: true,
        codec: { decode: decodePart, encode: () => emptyAnswer },
        open: (answers) => this.#onSnapshot(answers),
      },
    ];
  }

  /** Ends the streams of those who may not speak any more. */
  checkIdentities(): void {
    for (const [from, { key, fail }] of this.#incoming) {
      const refusedAs = this.#options.door.refusalOf(from, key);
      if (refusedAs !== undefined) fail(refusalOfPeer(from, refusedAs));
    }
  }

  /** Whoever calls; undefined when the call was refused and answered. */
  #letIn(answers: AnswerStream<object>) {
    const { door, handlers, selfId } = this.#options;
    const caller = door.let(answers.call);
    if ('code' in caller) answers.fail(caller);
    else if (handlers() === undefined)
      answers.fail({ code: grpcStatus.unavailable, details: `member ${selfId} is not running` });
    else return caller;
    return undefined;
  }

  #onStream(answers: AnswerStream<object>): RequestSink<object> {
    const caller = this.#letIn(answers);
    if (caller === undefined) return nobody;
    const { from, key } = caller;
    const forget = (): boolean => this.#incoming.get(from) === stream && this.#incoming.delete(from);
    const stream: IncomingStream = {
      key,
      // The caller must hear of it, or it would go on speaking to nobody.
      fail: (status) => {
        forget();
        answers.fail(status);
      },
    };
    // However a stream ends, nothing comes until the peer has connected again.
    const over = () => {
      if (forget()) this.#options.handlers()?.ended?.(from);
    };
    this.#incoming.get(from)?.fail({ code: grpcStatus.aborted, details: `member ${from} has a newer stream` });
    this.#incoming.set(from, stream);
    answers.accept?.([]);
    this.#options.came(from);
    return {
      request: (batch) => {
        try {
          for (const message of decodeBatch(batch as Uint8Array)) this.#deliver(message, from);
        } catch (error) {
          const isUnreadable = error instanceof RangeError;
          if (!isUnreadable && !(error instanceof KeelsonError)) throw error;
          this.#options.env.log.error('ended a peer stream', { peer: from, error: error.message });
          const code = isUnreadable ? grpcStatus.internal : grpcStatus.invalidArgument;
          stream.fail({ code, details: error.message });
        }
      },
      ended: () => {
        over();
        answers.write({});
        answers.end();
      },
      drained: () => undefined,
      gone: over,
    };
  }

  #deliver(message: Message, from: ReplicaId): void {
    if (message.from !== from || message.to !== this.#options.selfId) {
      const text = `member ${from} sent a message from ${message.from} to ${message.to}`;
      throw new KeelsonError('BAD_PEER_MESSAGE', text);
    }
    this.#options.traffic?.received(message);
    this.#options.handlers()?.message(message);
  }

  #onSnapshot(answers: AnswerStream<object>): RequestSink<object> {
    const caller = this.#letIn(answers);
    if (caller === undefined) return nobody;
    const intake = new SnapshotIntake(answers, this.#options.env.clock);
    void this.#receive(caller.from, intake, answers);
    return intake;
  }

  /** Never rejects: how it ended is the answer. */
  async #receive(from: ReplicaId, intake: SnapshotIntake, answers: AnswerStream<object>): Promise<void> {
    const { env, selfId, handlers } = this.#options;
    try {
      const first = (await intake.next())?.message;
      const message = first ? fromProto(first) : undefined;
      if (message?.type !== 'snap' || message.from !== from || message.to !== selfId) {
        throw new KeelsonError('BAD_PEER_MESSAGE', 'a snapshot stream begins with its own snap message');
      }
      // From here on the sender knows where to begin.
      const running = handlers();
      if (running === undefined) throw new KeelsonError('STOPPED', `receive snapshot: member ${selfId} stops`);
      const stagedBytes = running.snapshotStaged?.(message) ?? 0;
      answers.accept?.(encodeStagedBytes(stagedBytes));
      await running.snapshot(message, intake.content(stagedBytes));
      answers.write({});
      answers.end();
    } catch (error) {
      env.log.warn('receiving a raft snapshot failed', { peer: from, error: errorText(error) });
      answers.fail({ code: grpcStatus.aborted, details: errorText(error) });
    }
  }
}
