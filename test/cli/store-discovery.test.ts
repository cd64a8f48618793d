/** How the first members find each other: by SRV records, and under a token in a store. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { seededRandom } from '../../chaos/sim/random.ts';
import { discoverByNames, discoverInStore } from '../../src/cli/store-discovery.ts';
import { errorText, KeelsonError } from '../../src/env/errors.ts';
import { silentLog } from '../../src/env/log.ts';
import type { Names, ServiceRecord } from '../../src/env/names.ts';
import type { KeyValue } from '../../src/kv/index.ts';
import { memberIdOf } from '../../src/kv/server/cluster-config.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';
import { mutated } from '../support/random-messages.ts';

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

function namesOf(
  services: Readonly<Record<string, readonly ServiceRecord[]>>,
  hosts: Readonly<Record<string, string>> = {},
): Names {
  return {
    addresses: async (host) => {
      const address = hosts[host] ?? (/^[\d.]+$/.test(host) ? host : undefined);
      if (address === undefined) throw new Error(`ENOTFOUND ${host}`);
      return [address];
    },
    hosts: async () => [],
    services: async (name) => {
      const records = services[name];
      if (!records) throw new Error(`querySrv ENOTFOUND ${name}`);
      return records;
    },
  };
}

describe('SRV records', () => {
  const records = [
    { host: 'a.example.', port: 2380 },
    { host: 'b.example.', port: 2380 },
  ];
  const hosts = { 'a.example': '10.0.0.1', 'b.example': '10.0.0.2', 'me.example': '10.0.0.2' };

  test('name the members, and this one among them by its address', async () => {
    const found = await discoverByNames(
      namesOf({ '_etcd-server._tcp.example': records }, hosts),
      { name: 'me', peerUrls: ['http://me.example:2380'] },
      { domain: 'example', serviceName: '' },
    );
    assert.deepEqual(found, [
      { name: '0', peerUrls: ['http://a.example:2380'] },
      { name: 'me', peerUrls: ['http://me.example:2380'] },
    ]);
  });

  test('of the secure service are https, and a service name is asked for', async () => {
    const found = await discoverByNames(
      namesOf({ '_etcd-server-ssl-blue._tcp.example': records }, hosts),
      { name: 'b', peerUrls: ['https://b.example:2380'] },
      { domain: 'example', serviceName: 'blue' },
    );
    assert.deepEqual(
      found.map(({ peerUrls }) => peerUrls[0]),
      ['https://a.example:2380', 'https://b.example:2380'],
    );
  });

  test('that are missing, or without this member, are told', async () => {
    const self = { name: 'c', peerUrls: ['http://c.example:2380'] };
    const asked = { domain: 'example', serviceName: '' };
    await assert.rejects(
      discoverByNames(namesOf({}), self, asked),
      /no SRV record names a member .*_etcd-server\._tcp\.example/,
    );
    await assert.rejects(
      discoverByNames(namesOf({ '_etcd-server._tcp.example': records }, hosts), self, asked),
      /cannot find local member "c" in SRV records/,
    );
  });
});

/** As much of a store as introduces members. */
class Registry {
  readonly #rows: KeyValue[] = [];
  put(key: string, value: string): void {
    const revision = this.#rows.length + 1;
    const bytes = new TextEncoder();
    this.#rows.push({
      key: bytes.encode(key),
      value: bytes.encode(value),
      createRevision: revision,
      modRevision: revision,
      version: 1,
      lease: 0n,
    });
  }
  keys(): readonly string[] {
    return this.#rows.map(({ key }) => text(key));
  }
  readonly client: Parameters<typeof discoverInStore>[0]['client'] = {
    range: async ({ key, rangeEnd }) => {
      const [from, to] = [text(key), rangeEnd === undefined ? undefined : text(rangeEnd)];
      const kvs = this.#rows.filter((row) => {
        const name = text(row.key);
        return to === undefined ? name === from : name >= from && name < to;
      });
      return { kvs, more: false, count: kvs.length, revision: 1 };
    },
    put: async ({ key, value }) => {
      this.put(text(key), text(value));
      return { revision: 1 };
    },
  };
}

describe('a token in a store', () => {
  const join = (registry: Registry, clock: FakeClock, name: string) =>
    discoverInStore(
      { client: registry.client, clock, log: silentLog, token: 't', requestTimeoutMs: 1_000 },
      { name, peerUrls: [`http://${name}:2380`] },
    );

  test('brings together as many as were announced, and no more', async () => {
    const registry = new Registry();
    const clock = new FakeClock();
    registry.put('/_etcd/registry/t/_config/size', '2');
    const first = join(registry, clock, 'a');
    await settle();
    const second = join(registry, clock, 'b');
    const members = [
      { name: 'a', peerUrls: ['http://a:2380'] },
      { name: 'b', peerUrls: ['http://b:2380'] },
    ];
    assert.deepEqual(await second, members);
    await clock.advance(1_000);
    assert.deepEqual(await first, members);
    await assert.rejects(join(registry, clock, 'c'), /cluster t is full: its 2 members have registered/);
    // One that was stopped before it had a data directory comes again.
    assert.deepEqual(await join(registry, clock, 'a'), members);
    assert.equal(registry.keys().length, 3);
  });

  test('without a size, or with a bad one, is told', async () => {
    const registry = new Registry();
    await assert.rejects(
      join(registry, new FakeClock(), 'a'),
      /size key not found: put the number of members under \/_etcd\/registry\/t\/_config\/size/,
    );
    registry.put('/_etcd/registry/t/_config/size', 'three');
    await assert.rejects(join(registry, new FakeClock(), 'a'), /size key is bad/);
  });

  test('whose rows somebody else wrote ends in one line that says so, or in members that can be', async () => {
    const random = seededRandom('registry');
    const texts = [
      'a=http://a:2380',
      'a',
      '=',
      'a=',
      '=http://a:1',
      'a=b',
      'a=http://',
      'a=http://x:99999',
      '\u0000=\u0000',
      'a=b,c=d',
    ];
    for (let count = 0; count < 300; count++) {
      const registry = new Registry();
      registry.put(
        '/_etcd/registry/t/_config/size',
        ['1', '2', '-1', '1e999', ' ', '0x2'][random.integer(0, 5)] as string,
      );
      const self = memberIdOf(['http://a:2380'], 't').toString(16);
      for (const key of [self, 'b', '']) {
        const text = Buffer.from(texts[random.integer(0, texts.length - 1)] as string);
        const value = random.next() < 0.5 ? text : Buffer.from(mutated(random, text));
        registry.put(`/_etcd/registry/t/members/${key}`, value.toString());
      }
      const stopping = new AbortController();
      const joined = discoverInStore(
        {
          client: registry.client,
          clock: new FakeClock(),
          log: silentLog,
          token: 't',
          requestTimeoutMs: 1_000,
          signal: stopping.signal,
        },
        { name: 'a', peerUrls: ['http://a:2380'] },
      );
      const stopped = new Error('nobody else comes');
      // Too few may have registered in a form that counts: then it waits for more.
      void settle().then(() => stopping.abort(stopped));
      const end: unknown = await joined.catch((error: unknown) => error);
      if (end === stopped) continue;
      if (Array.isArray(end))
        assert.ok(end.every(({ peerUrls }) => peerUrls.every((url: string) => URL.canParse(url))));
      else assert.ok(end instanceof KeelsonError && !end.message.includes('\n'), errorText(end));
    }
  });
});
