/**
 * `kill -9` of a real member under a real load, again and again, on the real disk: after every start, every write that was
 * ever acknowledged is there, under the revision that was told, and each revision is one write.
 *
 * `KEELSON_KILLS=1000` for the full run; `npm test` does 25.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { seededRandom } from '../../chaos/sim/random.ts';
import { realClock } from '../../src/env/real.ts';
import type { KvEvent } from '../../src/kv/api.ts';
import { createKvClient, type KvClient } from '../../src/kv/index.ts';
import { type StoreCluster, startStoreCluster } from './store-processes.ts';

const kills = Number(process.env.KEELSON_KILLS ?? 25);
const writers = 24;
/** Acknowledged writes between a start and the next kill. */
const writesMin = 20;
const writesMax = 600;
const bytes = (text: string) => new TextEncoder().encode(text);
const text = (value: Uint8Array) => new TextDecoder().decode(value);

interface Acknowledged {
  readonly key: string;
  readonly value: string;
}

let cluster: StoreCluster;
before(async () => {
  cluster = await startStoreCluster({ kind: 'keelson', count: 1 });
});
after(() => cluster?.stop());

/** Everything that happened after `revision`, as the store tells it, up to where it is now. */
async function eventsAfter(client: KvClient, revision: number): Promise<readonly KvEvent[]> {
  const head = (await client.range({ key: bytes('none') })).revision;
  if (head === revision) return [];
  const events: KvEvent[] = [];
  const all = Promise.withResolvers<void>();
  const timer = setTimeout(() => all.reject(new Error(`no events up to ${head} within a minute`)), 60_000);
  const watch = client.watch(
    {
      key: bytes('w'),
      rangeEnd: bytes('x'),
      startRevision: revision + 1,
      prevKv: false,
      noPut: false,
      noDelete: false,
    },
    {
      created: () => undefined,
      progress: () => undefined,
      ended: (reason) => all.reject(new Error(`the watch ended: ${JSON.stringify(reason)}`)),
      events: (list) => {
        events.push(...list);
        if ((list.at(-1)?.kv.modRevision ?? 0) >= head) all.resolve();
      },
    },
  );
  try {
    await all.promise;
    return events;
  } finally {
    clearTimeout(timer);
    watch.cancel();
  }
}

test(`nothing acknowledged is lost over ${kills} kills`, { timeout: 60_000 + kills * 20_000 }, async (context) => {
  const random = seededRandom('kill-nine');
  const [member] = cluster.members;
  assert.ok(member);
  const startMs: number[] = [];
  let verified = 0;
  let acknowledgedInAll = 0;
  for (let kill = 1; kill <= kills; kill++) {
    const acknowledged = new Map<number, Acknowledged>();
    const client = createKvClient({ clock: realClock, endpoints: cluster.endpoints });
    const wanted = random.integer(writesMin, writesMax);
    const enough = Promise.withResolvers<void>();
    let isOver = false;
    const write = async (writer: number) => {
      for (let count = 0; !isOver; count++) {
        const key = `w${writer % 3 === 0 ? `shared-${count % 5}` : `${writer}/${kill % 20}/${count}`}`;
        const value = `${kill}/${writer}/${count}/${'x'.repeat(random.integer(0, count % 10 === 0 ? 5000 : 300))}`;
        try {
          const { revision } = await client.put({ key: bytes(key), value: bytes(value) }, { timeoutMs: 10_000 });
          assert.ok(!acknowledged.has(revision), `revision ${revision} was told twice`);
          acknowledged.set(revision, { key, value });
          if (acknowledged.size >= wanted) enough.resolve();
        } catch (error) {
          if (isOver) return;
          enough.reject(error as Error);
          return;
        }
      }
    };
    const writing = Promise.all(Array.from({ length: writers }, (_, writer) => write(writer)));
    await enough.promise;
    isOver = true;
    await member.end('SIGKILL');
    await writing;
    client.close();
    const startedMs = performance.now();
    await member.start();
    startMs.push(performance.now() - startedMs);
    const reader = createKvClient({ clock: realClock, endpoints: cluster.endpoints });
    const events = await eventsAfter(reader, verified);
    for (const [position, { kv }] of events.entries()) {
      const before = events[position - 1]?.kv.modRevision ?? Math.max(verified, 1);
      assert.equal(kv.modRevision, before + 1, `kill ${kill}: every revision is one write`);
      const told = acknowledged.get(kv.modRevision);
      if (told === undefined) continue;
      assert.deepEqual({ key: text(kv.key), value: text(kv.value) }, told, `kill ${kill}: revision ${kv.modRevision}`);
      acknowledged.delete(kv.modRevision);
      acknowledgedInAll += 1;
    }
    const lost = [...acknowledged.keys()];
    assert.deepEqual(lost, [], `kill ${kill}: acknowledged writes are lost`);
    verified = events.at(-1)?.kv.modRevision ?? verified;
    // The next kill may come while the store still cleans up after it.
    if (verified > 1) await reader.compact(verified);
    reader.close();
  }
  startMs.sort((a, b) => a - b);
  const at = (share: number) =>
    Math.round(startMs[Math.min(startMs.length - 1, Math.floor(startMs.length * share))] ?? 0);
  context.diagnostic(
    `${kills} kills, ${acknowledgedInAll} acknowledged writes, ${verified} revisions, none lost; ` +
      `start until ready: median ${at(0.5)} ms, 99 % ${at(0.99)} ms, longest ${at(1)} ms`,
  );
  assert.ok(acknowledgedInAll >= kills * writesMin);
});
