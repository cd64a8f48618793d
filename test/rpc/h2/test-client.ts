/** Clients and their calls for tests, which note what they are told. */
import assert from 'node:assert/strict';
import { realClock } from '../../../src/env/real.ts';
import type { CallEnd, ClientCall } from '../../../src/rpc/h2/client-call.ts';
import { H2Client, type H2ClientOptions } from '../../../src/rpc/h2/client-host.ts';
import { Flusher } from '../../../src/rpc/h2/flusher.ts';
import { Timers } from '../../../src/rpc/h2/timers.ts';

/** Of all clients; whoever uses them closes it after the last test. */
export const timers = new Timers(realClock);
const flusher = new Flusher();

export interface Answered {
  isBegun: boolean;
  readonly messages: Buffer[];
  end: CallEnd | undefined;
}

export function clientTo(url: string, more: Partial<H2ClientOptions> = {}): H2Client {
  const { hostname, port } = new URL(url);
  return new H2Client({
    clock: realClock,
    timers,
    flusher,
    address: { host: hostname, port: Number(port) },
    connectTimeoutMs: 5_000,
    keepaliveIntervalMs: 10_000,
    keepaliveTimeoutMs: 5_000,
    messageBytesMax: 64 * 1024 * 1024,
    onClosed: () => undefined,
    ...more,
  });
}

export function openCall(
  client: H2Client,
  path: string,
  metadata: readonly (readonly [string, string])[] = [],
): {
  readonly call: ClientCall;
  readonly answered: Answered;
  readonly ended: Promise<void>;
  drained(): Promise<void>;
} {
  const answered: Answered = { isBegun: false, messages: [], end: undefined };
  const over = Promise.withResolvers<void>();
  let room = Promise.withResolvers<void>();
  const call = client.call(path, metadata, {
    begun: () => {
      assert.equal(answered.isBegun, false, 'told once');
      answered.isBegun = true;
    },
    message: (bytes) => void answered.messages.push(bytes),
    drained: () => room.resolve(),
    ended: (end) => {
      assert.equal(answered.end, undefined, 'told once');
      answered.end = end;
      over.resolve();
      room.resolve();
    },
  });
  assert.ok(call, 'the client may call');
  return {
    call,
    answered,
    ended: over.promise,
    drained: () => {
      room = Promise.withResolvers<void>();
      return room.promise;
    },
  };
}

export async function until(what: string, isTrue: () => boolean, limitMs = 8000): Promise<void> {
  const end = performance.now() + limitMs;
  while (!isTrue()) {
    assert.ok(performance.now() < end, `waited until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
