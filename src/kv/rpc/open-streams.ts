/**
 * The open streams of one method: all of them end when the member goes away, and those whose clients asked for a leader
 * once this member has been without one for three election time-outs, as long as etcd waits. One listener and one timer
 * serve all of them: an open stream costs nothing while nothing happens.
 */
import { assert } from '../../env/assert.ts';
import type { Cancel } from '../../env/clock.ts';
import { KvError } from '../errors.ts';
import type { Face } from './call.ts';

const leaderlessPollsMax = 3;

export interface OpenStream {
  readonly wantsLeader: boolean;
  /** May remove the stream at once. */
  fail(error: KvError): void;
}

export class OpenStreams {
  readonly #face: Face;
  readonly #all = new Set<OpenStream>();
  readonly #wantingLeader = new Set<OpenStream>();
  #isListening = false;
  #cancelPolls: Cancel | undefined = undefined;
  #leaderlessPolls = 0;

  constructor(face: Face) {
    this.#face = face;
  }

  add(stream: OpenStream): void {
    assert(!this.#all.has(stream), 'a stream is opened once');
    this.#all.add(stream);
    if (!this.#isListening) {
      this.#isListening = true;
      this.#face.stopping.addEventListener('abort', () => this.#failAll(this.#all, new KvError('stopped')), {
        once: true,
      });
    }
    if (!stream.wantsLeader) return;
    this.#wantingLeader.add(stream);
    this.#cancelPolls ??= this.#face.server.clock.every(this.#face.server.electionMs, () => this.#poll());
  }

  remove(stream: OpenStream): void {
    this.#all.delete(stream);
    if (!this.#wantingLeader.delete(stream) || this.#wantingLeader.size > 0) return;
    this.#cancelPolls?.();
    this.#cancelPolls = undefined;
    this.#leaderlessPolls = 0;
  }

  #poll(): void {
    assert(this.#wantingLeader.size > 0, 'nobody looks for a leader that nobody wants');
    this.#leaderlessPolls = this.#face.server.position().leader === 0 ? this.#leaderlessPolls + 1 : 0;
    if (this.#leaderlessPolls >= leaderlessPollsMax) this.#failAll(this.#wantingLeader, new KvError('noLeader'));
  }

  #failAll(streams: ReadonlySet<OpenStream>, error: KvError): void {
    for (const stream of Array.from(streams)) stream.fail(error);
  }
}
