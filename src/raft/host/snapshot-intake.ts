/**
 * The receiving end of a snapshot's stream: its parts as they are pulled, held back at the sender while nobody pulls. Throws
 * when the stream ends before its last part, so that half a snapshot is never taken for whole, and when nothing comes.
 */
import { assert } from '../../env/assert.ts';
import type { Clock } from '../../env/clock.ts';
import { KeelsonError } from '../../env/errors.ts';
import { numberFromInt64 } from '../../proto/int64.ts';
import type { AnswerStream, RequestSink } from '../../rpc/service.ts';
import { peerLimits } from './grpc-wire.ts';
import type { ProtoSnapshotPart } from './message-codec.ts';

/** Parts that wait to be pulled: the sender's are of a megabyte at most. */
const waitingMax = 2;

export class SnapshotIntake implements RequestSink<object> {
  readonly #answers: AnswerStream<object>;
  readonly #clock: Pick<Clock, 'after'>;
  readonly #waiting: ProtoSnapshotPart[] = [];
  #end: 'open' | 'ended' | 'gone' = 'open';
  #told: (() => void) | undefined;

  constructor(answers: AnswerStream<object>, clock: Pick<Clock, 'after'>) {
    this.#answers = answers;
    this.#clock = clock;
  }

  get isGone(): boolean {
    return this.#end === 'gone';
  }

  request(part: object): void {
    this.#waiting.push(part as ProtoSnapshotPart);
    if (this.#waiting.length >= waitingMax) this.#answers.pause();
    this.#tell();
  }

  ended(): void {
    if (this.#end === 'open') this.#end = 'ended';
    this.#tell();
  }

  gone(): void {
    this.#end = 'gone';
    this.#tell();
  }

  drained(): void {
    // Nothing is answered before the end.
  }

  #tell(): void {
    const told = this.#told;
    this.#told = undefined;
    told?.();
  }

  /** The next part; undefined at the end. */
  async next(): Promise<ProtoSnapshotPart | undefined> {
    if (this.#waiting.length === 0 && this.#end === 'open') await this.#wait();
    if (this.#end === 'gone') throw new KeelsonError('SNAPSHOT_CUT_SHORT', 'receive snapshot: the sender gave up');
    const part = this.#waiting.shift();
    if (this.#waiting.length < waitingMax) this.#answers.resume();
    return part;
  }

  /** A stream that stands still would keep every other snapshot out. */
  #wait(): Promise<void> {
    assert(this.#told === undefined, 'one part is awaited at a time');
    return new Promise((resolve, reject) => {
      const { snapshotStallMs } = peerLimits;
      const cancel = this.#clock.after(snapshotStallMs, () => {
        this.#told = undefined;
        reject(new KeelsonError('SNAPSHOT_CUT_SHORT', `receive snapshot: nothing came for ${snapshotStallMs} ms`));
      });
      this.#told = () => {
        cancel();
        resolve();
      };
    });
  }

  /** The content behind the first part, of which `stagedBytes` are here already. */
  async *content(stagedBytes: number): AsyncGenerator<Uint8Array> {
    let bytes = stagedBytes;
    for (;;) {
      const part = await this.next();
      if (part === undefined) throw new KeelsonError('SNAPSHOT_CUT_SHORT', `the stream ended after ${bytes} bytes`);
      const { chunk, isLast, totalBytes } = part;
      if (isLast === true) {
        const wanted = numberFromInt64(totalBytes);
        if (wanted === bytes) return;
        throw new KeelsonError('SNAPSHOT_CUT_SHORT', `${bytes} bytes arrived of ${wanted}`);
      }
      if (chunk && chunk.length > 0) {
        bytes += chunk.length;
        yield chunk;
      }
    }
  }
}
