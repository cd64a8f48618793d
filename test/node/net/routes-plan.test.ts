import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '../../../src/control/api/contract.ts';
import { routeCommands, wantedRoutes } from '../../../src/node/net/routes-plan.ts';

function node(name: string, podCIDR: string | undefined, address: string | undefined): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, uid: name, resourceVersion: '1', creationTimestamp: '' },
    spec: podCIDR === undefined ? {} : { podCIDR },
    status: { addresses: address === undefined ? [] : [{ type: 'InternalIP', address }] },
  };
}

test('a node routes to the pods of every other node through its address, and not to its own', () => {
  const nodes = [
    node('n2', '10.244.1.0/24', '10.0.0.2'),
    node('n1', '10.244.0.0/24', '10.0.0.1'),
    node('n3', '10.244.2.0/24', '10.0.0.3'),
  ];
  assert.deepEqual(wantedRoutes(nodes, 'n1'), [
    { destination: '10.244.1.0/24', via: '10.0.0.2' },
    { destination: '10.244.2.0/24', via: '10.0.0.3' },
  ]);
});

test('a node without a pod range or without an address gets no route yet', () => {
  assert.deepEqual(wantedRoutes([node('n2', undefined, '10.0.0.2'), node('n3', '10.244.2.0/24', undefined)], 'n1'), []);
});

test('only what is missing, moved or unwanted is changed', () => {
  const present = [
    { destination: '10.244.1.0/24', via: '10.0.0.2' },
    { destination: '10.244.2.0/24', via: '10.0.0.9' },
    { destination: '10.244.7.0/24', via: '10.0.0.7' },
  ];
  const wanted = [
    { destination: '10.244.1.0/24', via: '10.0.0.2' },
    { destination: '10.244.2.0/24', via: '10.0.0.3' },
  ];
  assert.deepEqual(routeCommands(wanted, present, 155), [
    'route replace 10.244.2.0/24 via 10.0.0.3 proto 155',
    'route del 10.244.7.0/24 proto 155',
  ]);
  assert.deepEqual(routeCommands(wanted, wanted, 155), []);
});
