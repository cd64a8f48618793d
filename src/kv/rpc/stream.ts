/**
 * What every stream of the store has in common, as call.ts has for unary calls: it is counted, not for learners, ends when
 * the member goes away, and ends with `no leader` when its client asked for that.
 */
import type * as grpc from '@grpc/grpc-js';
import { assert } from '../../env/assert.ts';
import { grpcStatus } from '../../rpc/grpc-status.ts';
import { KvError } from '../errors.ts';
import { type CallType, type Face, type MessageCounts, namesOf, toStatus, wantsLeader } from './call.ts';
import { type AnswerStream, codecOf, type RequestSink, type StreamMethod } from '../../rpc/service.ts';
import { type OpenStream, OpenStreams } from './open-streams.ts';
import type { SharedAnswer } from '../../rpc/shared-message.ts';

/** An AnswerStream whose `fail` takes any error. After its end, everything but `call` does nothing. */
export interface FaceStream<Answer> extends Omit<AnswerStream<Answer>, 'fail' | 'writeShared'> {
  readonly isOver: () => boolean;
  /** As `write`, of an answer that goes to many. `number` >= 0. */
  writeShared(answer: SharedAnswer<Answer>, number: number): boolean;
  fail(error: unknown): void;
}

export interface StreamOptions {
  readonly isForLearners?: boolean;
}

/** `open`’s sink gets `gone` exactly once, however the stream ends. */
export function stream<Request extends object, Answer extends object>(
  face: Face,
  definition: grpc.MethodDefinition<object, object> | undefined,
  open: (answers: FaceStream<Answer>) => RequestSink<Request>,
  options: StreamOptions = {},
): StreamMethod<Request, Answer> {
  const { path, codec, isRequestStream } = codecOf<Request, Answer>(definition);
  const type: CallType = isRequestStream ? 'bidi_stream' : 'server_stream';
  const opened = new OpenStreams(face);
  return {
    kind: 'stream',
    path,
    isRequestStream,
    codec,
    open: (answers) => new CountedStream({ face, opened, path, type }, answers).begin(open, options),
  };
}

/** What the streams of one method share. */
interface Opening {
  readonly face: Face;
  readonly opened: OpenStreams;
  readonly path: string;
  readonly type: CallType;
}

class CountedStream<Request, Answer> implements FaceStream<Answer>, OpenStream {
  readonly call: AnswerStream<Answer>['call'];
  readonly wantsLeader: boolean;
  readonly #face: Face;
  readonly #opened: OpenStreams;
  readonly #names: readonly [service: string, method: string];
  readonly #type: CallType;
  readonly #answers: AnswerStream<Answer>;
  /** Of messages that do not pass the method's codec, where all others are counted (methods.ts). */
  readonly #counts: MessageCounts | undefined;
  #sink: RequestSink<Request> | undefined;
  #isOver = false;

  constructor({ face, opened, path, type }: Opening, answers: AnswerStream<Answer>) {
    this.#face = face;
    this.#opened = opened;
    this.#names = namesOf(path);
    this.#type = type;
    this.#answers = answers;
    this.call = answers.call;
    this.wantsLeader = wantsLeader(answers.call);
    this.#counts = face.counters.messages?.(...this.#names, type);
  }

  begin(
    open: (answers: FaceStream<Answer>) => RequestSink<Request>,
    { isForLearners = false }: StreamOptions,
  ): RequestSink<Request> {
    const { server, counters, stopping } = this.#face;
    counters.started(...this.#names, this.#type);
    const { isLearner, isWitness, leader } = server.position();
    if (stopping.aborted) this.fail(new KvError('stopped'));
    else if (isWitness && !isForLearners) this.fail(new KvError('notSupportedForWitness'));
    else if (isLearner && !isForLearners) this.fail(new KvError('notSupportedForLearner'));
    else if (leader === 0 && this.wantsLeader) this.fail(new KvError('noLeader'));
    if (this.#isOver) return nobody;
    this.#opened.add(this);
    const sink = open(this);
    // It may have ended while it was opened: then nobody has told the sink.
    if (this.#isOver) sink.gone();
    this.#sink = sink;
    return {
      request: (message) => this.#deliver(() => sink.request(message)),
      ended: () => this.#deliver(() => sink.ended()),
      drained: () => this.#deliver(() => sink.drained()),
      gone: () => this.#finish(grpcStatus.cancelled),
    };
  }

  isOver = () => this.#isOver;

  write(answer: Answer): boolean {
    return this.#isOver || this.#answers.write(answer);
  }

  writeShared(answer: SharedAnswer<Answer>, number: number): boolean {
    if (this.#isOver) return true;
    const answers = this.#answers;
    if (answers.writeShared === undefined) return answers.write(answer.of(number));
    const message = answer.encoded();
    const counts = this.#counts;
    if (counts !== undefined) {
      counts.sent += 1;
      counts.sentBytes += message.length(number);
    }
    return answers.writeShared(message, number);
  }

  pause(): void {
    if (!this.#isOver) this.#answers.pause();
  }

  resume(): void {
    if (!this.#isOver) this.#answers.resume();
  }

  end(): void {
    if (this.#finish(grpcStatus.ok)) this.#answers.end();
  }

  fail(error: unknown): void {
    if (this.#isOver) return;
    const status = toStatus(this.#face, error);
    assert(status.code !== grpcStatus.ok, 'a failure has a status of its own');
    if (this.#finish(status.code)) this.#answers.fail(status);
  }

  #deliver(action: () => void): void {
    if (this.#isOver) return;
    try {
      action();
    } catch (error) {
      this.fail(error);
    }
  }

  /** False when it was over already. */
  #finish(code: number): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    this.#opened.remove(this);
    this.#face.counters.handled(...this.#names, this.#type, code);
    this.#sink?.gone();
    return true;
  }
}

const nobody: RequestSink<unknown> = {
  request: () => undefined,
  ended: () => undefined,
  drained: () => undefined,
  gone: () => undefined,
};
