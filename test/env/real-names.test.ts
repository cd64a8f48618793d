/** The system's resolver, asked for services at a name server of this test. */
import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { getServers, setServers } from 'node:dns/promises';
import { after, before, test } from 'node:test';
import { decode, encode } from 'dns-packet';
import { realNames } from '../../src/env/real.ts';

let server: Socket;
const servers = getServers();
before(async () => {
  server = createSocket('udp4');
  server.on('message', (message, from) => {
    const query = decode(message);
    const name = query.questions?.[0]?.name ?? '';
    const record = (target: string, priority: number) => ({
      type: 'SRV' as const,
      name,
      data: { target, port: 2380, priority, weight: 0 },
    });
    const isKnown = name === '_etcd-server._tcp.example.test';
    const answers = isKnown ? [record('second.example.test', 20), record('first.example.test', 10)] : [];
    // 3 is "no such name".
    server.send(
      encode({
        type: 'response',
        id: query.id ?? 0,
        flags: isKnown ? 0 : 3,
        questions: query.questions ?? [],
        answers,
      }),
      from.port,
      from.address,
    );
  });
  await new Promise<void>((resolve) => server.bind(0, '127.0.0.1', resolve));
  setServers([`127.0.0.1:${server.address().port}`]);
});
after(() => {
  setServers(servers);
  server.close();
});

test('services come in the order of their priority', async () => {
  assert.deepEqual(await realNames.services('_etcd-server._tcp.example.test'), [
    { host: 'first.example.test', port: 2380 },
    { host: 'second.example.test', port: 2380 },
  ]);
  await assert.rejects(realNames.services('_other._tcp.example.test'), { code: 'ENOTFOUND' });
});

test('hosts have addresses, and addresses hosts, by the hosts file too', async () => {
  assert.ok((await realNames.addresses('localhost')).includes('127.0.0.1'));
  assert.deepEqual(await realNames.addresses('127.0.0.1'), ['127.0.0.1']);
  assert.deepEqual(await realNames.hosts('127.0.0.1'), ['localhost']);
});
