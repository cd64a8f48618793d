import assert from 'node:assert/strict';
import { test } from 'node:test';
import dnsPacket from 'dns-packet';
import type { JsonObject, KubeObject } from '../../../src/control/api/contract.ts';
import { respond } from '../../../src/node/dns/responder.ts';
import { Zone } from '../../../src/node/dns/zone.ts';

function object(name: string, labels: Record<string, string>, rest: JsonObject): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'X',
    metadata: { name, namespace: 'shop', uid: name, resourceVersion: '1', creationTimestamp: '', labels },
    ...rest,
  };
}

const zone = new Zone(
  'cluster.local',
  [
    object('web', {}, { spec: { clusterIP: '10.96.0.5', ports: [{ name: 'http', port: 80, protocol: 'TCP' }] } }),
    object('db', {}, { spec: { clusterIP: 'None', ports: [{ name: 'sql', port: 5432, protocol: 'TCP' }] } }),
    object('out', {}, { spec: { type: 'ExternalName', externalName: 'example.com' } }),
  ],
  [
    object(
      'db-1',
      { 'kubernetes.io/service-name': 'db' },
      {
        addressType: 'IPv4',
        ports: [{ name: 'sql', port: 5432, protocol: 'TCP' }],
        endpoints: [
          { addresses: ['10.244.0.7'], hostname: 'db-0', conditions: { ready: true } },
          { addresses: ['10.244.1.7'], conditions: { ready: false } },
        ],
      },
    ),
  ],
);

/** name, type, what comes back */
const table: readonly (readonly [string, string, string])[] = [
  ['web.shop.svc.cluster.local', 'A', '10.96.0.5'],
  ['WEB.shop.svc.cluster.local.', 'A', '10.96.0.5'],
  ['web.shop.svc.cluster.local', 'AAAA', 'noData'],
  ['nobody.shop.svc.cluster.local', 'A', 'noSuchName'],
  ['shop.svc.cluster.local', 'A', 'noData'],
  ['absent.svc.cluster.local', 'A', 'noSuchName'],
  ['db.shop.svc.cluster.local', 'A', '10.244.0.7'],
  ['db-0.db.shop.svc.cluster.local', 'A', '10.244.0.7'],
  ['10-244-1-7.db.shop.svc.cluster.local', 'A', '10.244.1.7'],
  ['10-244-3-9.shop.pod.cluster.local', 'A', '10.244.3.9'],
  ['out.shop.svc.cluster.local', 'A', 'example.com'],
  ['5.0.96.10.in-addr.arpa', 'PTR', 'web.shop.svc.cluster.local'],
  ['dns-version.cluster.local', 'TXT', '1.1.0'],
  ['example.com', 'A', 'forward'],
];

for (const [name, type, expected] of table) {
  test(`${type} ${name} gives ${expected}`, () => {
    const resolution = zone.resolve(name, type);
    assert.equal(resolution.kind === 'answers' ? resolution.answers[0]?.data : resolution.kind, expected);
  });
}

test('SRV names the port and where it is', () => {
  const resolution = zone.resolve('_sql._tcp.db.shop.svc.cluster.local', 'SRV');
  assert.ok(resolution.kind === 'answers');
  assert.deepEqual(resolution.answers[0]?.data, {
    priority: 0,
    weight: 100,
    port: 5432,
    target: 'db-0.db.shop.svc.cluster.local',
  });
});

const nobody = () => Promise.resolve(undefined);

test('an answer too long for UDP says so, and comes whole over TCP', async () => {
  const endpoints = Array.from({ length: 100 }, (_, index) => ({ addresses: [`10.244.0.${index + 1}`] }));
  const big = new Zone(
    'cluster.local',
    [object('big', {}, { spec: { clusterIP: 'None', ports: [] } })],
    [object('big-1', { 'kubernetes.io/service-name': 'big' }, { addressType: 'IPv4', ports: [], endpoints })],
  );
  const query = dnsPacket.encode({
    type: 'query',
    id: 7,
    questions: [{ type: 'A', name: 'big.shop.svc.cluster.local' }],
  });
  const short = dnsPacket.decode(Buffer.from((await respond(query, big, nobody, { kind: 'udp' })) ?? []));
  assert.equal(short.flag_tc, true);
  const whole = dnsPacket.decode(Buffer.from((await respond(query, big, nobody, { kind: 'tcp' })) ?? []));
  assert.equal(whole.answers?.length, 100);
});

test('garbage is answered FORMERR or not at all, and a dead upstream SERVFAIL', async () => {
  assert.equal(await respond(new Uint8Array(5), zone, nobody, { kind: 'udp' }), undefined);
  const garbage = await respond(new Uint8Array([1, 2, 1, 0, 0, 9, 0, 0, 0, 0, 0, 0, 255]), zone, nobody, {
    kind: 'udp',
  });
  assert.equal((garbage?.[3] ?? 0) & 15, 1);
  const outside = dnsPacket.encode({ type: 'query', id: 8, questions: [{ type: 'A', name: 'example.com' }] });
  assert.equal(((await respond(outside, zone, nobody, { kind: 'udp' }))?.[3] ?? 0) & 15, 2);
});
