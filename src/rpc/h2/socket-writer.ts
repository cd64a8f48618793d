/**
 * Writes runs to one socket and gives their blocks back: at once where the system took all of it, as it does for clients
 * that read, else when the socket says so.
 */
import type { Socket } from 'node:net';
import { assert } from '../../env/assert.ts';
import type { OutputBlock, OutputBuffer } from './output-buffer.ts';

export class SocketWriter {
  readonly #socket: Socket;
  readonly #output: OutputBuffer;
  /** Of runs that the socket has not confirmed, in order; `undefined` where there is nothing to give back any more. */
  #unconfirmed: (OutputBlock | undefined)[] = [];
  /** Before it all blocks were given back. */
  #heldFrom = 0;

  constructor(socket: Socket, output: OutputBuffer) {
    this.#socket = socket;
    this.#output = output;
  }

  /** Takes the run that `output` holds. False: the socket wants no more until its `drain`. */
  writeRun(): boolean {
    const parts = this.#output.take();
    if (parts.length === 0) return true;
    const block = this.#output.takenBlock;
    const socket = this.#socket;
    const last = parts.length - 1;
    if (last > 0) socket.cork();
    for (let index = 0; index < last; index++) socket.write(parts[index] as Buffer);
    this.#unconfirmed.push(block);
    const wantsMore = socket.write(parts[last] as Buffer, this.#confirmed);
    if (last > 0) socket.uncork();
    if (socket.writableLength === 0 && !socket.destroyed) this.#giveBackAll();
    return wantsMore;
  }

  /** One for all runs, which are confirmed in order: also when the socket is destroyed. */
  readonly #confirmed = (): void => {
    assert(this.#unconfirmed.length > 0, 'a run is confirmed once');
    const block = this.#unconfirmed.shift();
    if (this.#heldFrom > 0) this.#heldFrom--;
    if (block !== undefined) this.#output.giveBack(block);
  };

  /** Everything has gone out, and what confirms it is on its way. */
  #giveBackAll(): void {
    const unconfirmed = this.#unconfirmed;
    for (; this.#heldFrom < unconfirmed.length; this.#heldFrom++) {
      const block = unconfirmed[this.#heldFrom];
      unconfirmed[this.#heldFrom] = undefined;
      if (block !== undefined) this.#output.giveBack(block);
    }
  }
}
