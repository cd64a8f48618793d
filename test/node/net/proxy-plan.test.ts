import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject, KubeObject } from '../../../src/control/api/contract.ts';
import { nftablesScript } from '../../../src/node/net/nftables-rules.ts';
import { planServicePorts } from '../../../src/node/net/proxy-plan.ts';

function object(kind: string, name: string, labels: Record<string, string>, rest: JsonObject): KubeObject {
  return {
    apiVersion: 'v1',
    kind,
    metadata: { name, namespace: 'shop', uid: name, resourceVersion: '1', creationTimestamp: '', labels },
    ...rest,
  };
}

const service = (name: string, spec: JsonObject) => object('Service', name, {}, { spec });
const slice = (name: string, endpoints: readonly JsonObject[]) =>
  object(
    'EndpointSlice',
    `${name}-1`,
    { 'kubernetes.io/service-name': name },
    { addressType: 'IPv4', ports: [{ name: 'http', protocol: 'TCP', port: 8080 }], endpoints },
  );

const web = service('web', { clusterIP: '10.96.0.5', ports: [{ name: 'http', port: 80, protocol: 'TCP' }] });

test('a Service leads to its ready endpoints only', () => {
  const slices = [
    slice('web', [
      { addresses: ['10.244.0.2'], conditions: { ready: true } },
      { addresses: ['10.244.1.2'], conditions: { ready: false } },
      { addresses: ['10.244.1.3'] },
    ]),
  ];
  const [port] = planServicePorts([web], slices, 'n1');
  assert.deepEqual(port?.endpoints, [
    { address: '10.244.0.2', port: 8080 },
    { address: '10.244.1.3', port: 8080 },
  ]);
});

test('the last pods of a Service serve while they terminate, as long as nobody else is ready', () => {
  const dying = { addresses: ['10.244.0.2'], conditions: { ready: false, serving: true, terminating: true } };
  assert.deepEqual(planServicePorts([web], [slice('web', [dying])], 'n1')[0]?.endpoints, [
    { address: '10.244.0.2', port: 8080 },
  ]);
  const alive = { addresses: ['10.244.0.3'], conditions: { ready: true } };
  assert.deepEqual(planServicePorts([web], [slice('web', [dying, alive])], 'n1')[0]?.endpoints, [
    { address: '10.244.0.3', port: 8080 },
  ]);
});

test('headless and ExternalName Services have nothing to proxy', () => {
  const services = [
    service('a', { clusterIP: 'None', ports: [{ port: 80 }] }),
    service('b', { type: 'ExternalName', externalName: 'example.com' }),
  ];
  assert.deepEqual(planServicePorts(services, [], 'n1'), []);
});

test('internalTrafficPolicy Local keeps the endpoints of this node', () => {
  const local = service('web', {
    clusterIP: '10.96.0.5',
    internalTrafficPolicy: 'Local',
    ports: [{ name: 'http', port: 80 }],
  });
  const slices = [
    slice('web', [
      { addresses: ['10.244.0.2'], nodeName: 'n1' },
      { addresses: ['10.244.1.2'], nodeName: 'n2' },
    ]),
  ];
  assert.deepEqual(planServicePorts([local], slices, 'n1')[0]?.endpoints, [{ address: '10.244.0.2', port: 8080 }]);
});

const options = {
  table: 'keelson-proxy',
  nodeAddress: '10.0.0.1',
  clusterCidr: '10.244.0.0/16',
  serviceCidr: '10.96.0.0/16',
  ownAddresses: ['10.96.0.10'],
  masqueradeLocalPods: undefined,
};

test('two endpoints share connections by turns, and one that answers itself is masqueraded', () => {
  const slices = [slice('web', [{ addresses: ['10.244.0.2'] }, { addresses: ['10.244.1.2'] }])];
  const script = nftablesScript(planServicePorts([web], slices, 'n1'), options);
  assert.match(script, /10\.96\.0\.5 \. tcp \. 80 : goto service-0/);
  assert.match(script, /numgen random mod 2 vmap \{ 0 : goto endpoint-0-0, 1 : goto endpoint-0-1 \}/);
  assert.match(script, /ip saddr 10\.244\.1\.2 meta mark set/);
  assert.match(script, /dnat to 10\.244\.1\.2:8080/);
});

test('a Service without endpoints is refused at once instead of timing out', () => {
  const script = nftablesScript(planServicePorts([web], [], 'n1'), options);
  assert.match(script, /10\.96\.0\.5 \. tcp \. 80 : goto reject-it/);
  assert.doesNotMatch(script, /goto service-0/);
});

test('equal state gives equal rules whatever the order it arrives in', () => {
  const other = service('api', { clusterIP: '10.96.0.6', ports: [{ name: 'http', port: 80 }] });
  const slices = [slice('web', [{ addresses: ['10.244.0.2'] }]), slice('api', [{ addresses: ['10.244.0.3'] }])];
  assert.equal(
    nftablesScript(planServicePorts([web, other], slices, 'n1'), options),
    nftablesScript(planServicePorts([other, web], [...slices].reverse(), 'n1'), options),
  );
});
