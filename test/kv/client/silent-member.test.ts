/**
 * The client against members that vanish without a word: connections stay open, nothing comes through them. One real
 * member stands behind two doors; a door that is shut swallows everything, as a cut network does.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { realClock } from '../../../src/env/real.ts';
import { createKvClient, type KvClient } from '../../../src/kv/index.ts';
import { startTestMembers, type TestMember } from '../server/test-members.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const noBytes = new Uint8Array();

/** Passes bytes on both ways until it is shut. */
class Door {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #isShut = false;
  constructor(target: string) {
    const { hostname, port } = new URL(target);
    this.#server = createServer((outside) => {
      const inside = connect(Number(port), hostname);
      for (const [from, to] of [
        [outside, inside],
        [inside, outside],
      ] as const) {
        this.#sockets.add(from);
        from.on('data', (chunk) => {
          if (!this.#isShut) to.write(chunk);
        });
        from.on('error', () => undefined);
        from.on('close', () => {
          if (!this.#isShut) to.destroy();
        });
      }
    });
  }
  async open(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }
  shut(): void {
    this.#isShut = true;
  }
  async remove(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

let member: TestMember;
before(async () => {
  [member] = (await startTestMembers(1)) as [TestMember];
});
after(async () => {
  await member?.stop();
});

async function withDoors(action: (client: KvClient, first: Door) => Promise<void>): Promise<void> {
  const doors = [new Door(member.endpoint), new Door(member.endpoint)] as const;
  const endpoints = await Promise.all(doors.map((door) => door.open()));
  const client = createKvClient({ clock: realClock, endpoints, timeoutMs: 8_000 });
  try {
    await action(client, doors[0]);
  } finally {
    client.close();
    await Promise.all(doors.map((door) => door.remove()));
  }
}

test('a watch and a read whose member vanishes go on with another member within five seconds', async () => {
  await withDoors(async (client, first) => {
    const key = bytes('vanish');
    const created = Promise.withResolvers<void>();
    const arrived = Promise.withResolvers<number>();
    client.watch(
      { key, rangeEnd: noBytes, startRevision: 0, prevKv: false, noPut: false, noDelete: false },
      {
        created: () => created.resolve(),
        events: (events) => arrived.resolve(events[0]?.kv.modRevision ?? 0),
        progress: () => undefined,
        ended: (reason) => arrived.reject(new Error(reason.kind)),
      },
    );
    await created.promise;
    first.shut();
    const startMs = performance.now();
    const { revision } = await member.server.put({
      key,
      value: bytes('1'),
      lease: 0n,
      prevKv: false,
      ignoreValue: false,
      ignoreLease: false,
    });
    const read = client.range({ key });
    assert.equal(await arrived.promise, revision);
    assert.equal((await read).revision, revision);
    assert.ok(performance.now() - startMs < 5_000, `it took ${performance.now() - startMs} ms`);
    assert.ok((await client.put({ key, value: bytes('2') })).revision > revision, 'writes go to the other member too');
  });
});

test('a write that was sent to a member that vanishes is not sent again', async () => {
  await withDoors(async (client, first) => {
    const key = bytes('once');
    await client.put({ key, value: bytes('1') });
    first.shut();
    const lost = client.put({ key, value: bytes('2') }, { timeoutMs: 4_500 });
    await assert.rejects(lost, /no answer from the store within 4500 ms/);
    const { kvs } = await client.range({ key });
    assert.equal(new TextDecoder().decode(kvs[0]?.value), '1');
    assert.equal(kvs[0]?.version, 1);
  });
});
