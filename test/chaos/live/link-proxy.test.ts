/** The proxy between two members, on loopback: real sockets, and nothing of a namespace. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net, { type Socket } from 'node:net';
import { afterEach, beforeEach, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { clearLink, type LinkConditions } from '../../../chaos/live/link-pacing.ts';
import { LinkProxy } from '../../../chaos/live/link-proxy.ts';
import { realClock } from '../../../src/env/real.ts';
import { freePorts } from '../../support/free-ports.ts';

const members = [
  { address: '127.0.3.11', face: '127.0.3.201' },
  { address: '127.0.3.12', face: '127.0.3.202' },
] as const;
const forth = { from: 0, to: 1 };

let port = 0;
let proxy: LinkProxy;
let member: net.Server;
/** What the called member has accepted. */
let accepted: Socket[] = [];
const open: Socket[] = [];

beforeEach(async () => {
  [port = 0] = await freePorts(1);
  accepted = [];
  member = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined);
    accepted.push(socket);
    open.push(socket);
  });
  member.listen(port, members[1].address);
  await once(member, 'listening');
  proxy = new LinkProxy({ members, port, clock: realClock, draw: Math.random });
  await proxy.start();
});

afterEach(() => {
  proxy.close();
  member.close();
  for (const socket of open.splice(0)) socket.destroy();
});

/** Member 0 calls member 1; both ends of it. */
async function call(): Promise<{ readonly near: Socket; readonly far: Socket }> {
  const count = accepted.length;
  const near = net.connect({ host: members[1].face, port, localAddress: members[0].address, allowHalfOpen: true });
  near.on('error', () => undefined);
  open.push(near);
  await once(near, 'connect');
  if (accepted.length === count) await once(member, 'connection');
  const far = accepted[count];
  assert.ok(far);
  return { near, far };
}

function conditions(change: Partial<LinkConditions>): void {
  proxy.setConditions([{ ...forth, conditions: { ...clearLink, ...change } }]);
}

async function received(socket: Socket, bytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  while (length < bytes) {
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    chunks.push(chunk);
    length += chunk.length;
  }
  return Buffer.concat(chunks);
}

test('who is called sees the face of who called, and both hear each other', async () => {
  const { near, far } = await call();
  assert.equal(far.remoteAddress, members[0].face);
  near.write('there');
  assert.equal((await received(far, 5)).toString(), 'there');
  far.write('and back');
  assert.equal((await received(near, 8)).toString(), 'and back');
});

test('one end is done and still hears the other, and in the end nothing is left', async () => {
  const { near, far } = await call();
  far.resume();
  near.end('last words');
  await once(far, 'end');
  far.end('answer');
  assert.equal((await received(near, 6)).toString(), 'answer');
  await once(near, 'close');
});

test('a clogged way delivers nothing, and everything in order once it is clear; the other way is', async () => {
  const { near, far } = await call();
  conditions({ isClogged: true });
  near.write('one ');
  near.write('two');
  far.write('meanwhile');
  assert.equal((await received(near, 9)).toString(), 'meanwhile');
  assert.equal(far.bytesRead, 0);
  conditions({});
  assert.equal((await received(far, 7)).toString(), 'one two');
});

test('a sender is held up when too much is under way', async () => {
  const { near, far } = await call();
  conditions({ isClogged: true });
  const whole = Buffer.alloc(24 * 1024 * 1024, 7);
  near.write(whole);
  await wait(200);
  assert.ok(near.writableLength > 0, 'the window is full');
  const everything = received(far, whole.length);
  conditions({});
  assert.equal((await everything).length, whole.length);
});

test('delays and narrow lines take their time', async () => {
  const { near, far } = await call();
  conditions({ delayMinMs: 60, delayMeanMs: 60 });
  const startMs = performance.now();
  near.write('late');
  await received(far, 4);
  assert.ok(performance.now() - startMs >= 58, 'the delay');
  conditions({ bytesPerSecond: 10_000 });
  const narrowMs = performance.now();
  near.write(Buffer.alloc(1_000));
  await received(far, 1_000);
  assert.ok(performance.now() - narrowMs >= 98, 'a tenth of a second for a tenth of its bytes');
});

test('a reset at one end is one at the other', async () => {
  const { near, far } = await call();
  const told = once(far, 'error');
  near.resetAndDestroy();
  const [error] = (await told) as [NodeJS.ErrnoException];
  assert.equal(error.code, 'ECONNRESET');
});

test('connections are reset at both ends, or at one end that forgets', async () => {
  const first = await call();
  const told = [once(first.near, 'error'), once(first.far, 'error')];
  assert.equal(proxy.reset(1, 0), 1);
  await Promise.all(told);

  const second = await call();
  const nearTold = once(second.near, 'error');
  assert.equal(proxy.forget(0, 1), 1);
  await nearTold;
  second.far.write('is anybody there');
  await wait(50);
  assert.equal(second.far.destroyed, false);
  const farTold = once(second.far, 'error');
  proxy.endForgotten([forth]);
  await farTold;
});

test('towards a member that is down a caller is reset', async () => {
  member.close();
  const near = net.connect({ host: members[1].face, port, localAddress: members[0].address });
  const [error] = (await once(near, 'error')) as [NodeJS.ErrnoException];
  assert.equal(error.code, 'ECONNRESET');
});

test('whoever is no member is sent away', async () => {
  const stranger = net.connect({ host: members[1].face, port, localAddress: '127.0.3.77' });
  const [error] = (await once(stranger, 'error')) as [NodeJS.ErrnoException];
  assert.equal(error.code, 'ECONNRESET');
  assert.equal(accepted.length, 0);
});
