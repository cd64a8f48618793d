import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject } from '../../../src/control/api/contract.ts';
import {
  hasStatusChanged,
  type NodeIdentity,
  newNode,
  nodeStatus,
  parseTaint,
  type StatusFacts,
} from '../../../src/node/kubelet/node-object.ts';

const identity: NodeIdentity = {
  nodeName: 'n1',
  nodeIp: '192.0.2.1',
  labels: { zone: 'a' },
  taints: [{ key: 'k', effect: 'NoSchedule' }],
  kubeletPort: 10250,
  kubeletVersion: 'v1.34.1',
  podsMax: 110,
};
const facts: StatusFacts = {
  machine: {
    cpuCount: 2,
    memoryBytes: 2 ** 30,
    memoryAvailableBytes: 2 ** 29,
    storageBytes: 1000 * 1024,
    storageFreeBytes: 500 * 1024,
    machineId: 'm',
    systemUuid: 's',
    bootId: 'b',
    kernelVersion: '6.1',
    osImage: 'Debian',
    architecture: 'amd64',
  },
  runtimeVersion: { runtimeName: 'containerd', runtimeVersion: '1.6.20' },
  runtime: { conditions: [{ type: 'NetworkReady', status: true, reason: '', message: '' }] },
  runtimeError: '',
  images: [],
  nowMs: Date.parse('2026-01-02T03:04:05Z'),
};
const ready = (status: JsonObject) => status.conditions.find((each: JsonObject) => each.type === 'Ready');

test('a node registers with labels, taints, capacity and what it runs on', () => {
  const node = newNode(identity, facts);
  assert.equal(node.metadata.labels['kubernetes.io/hostname'], 'n1');
  assert.equal(node.metadata.labels.zone, 'a');
  assert.deepEqual(node.spec.taints, [{ key: 'k', effect: 'NoSchedule' }]);
  assert.deepEqual(node.status.capacity, { cpu: '2', memory: '1048576Ki', 'ephemeral-storage': '1000Ki', pods: '110' });
  assert.equal(node.status.nodeInfo.containerRuntimeVersion, 'containerd://1.6.20');
  assert.equal(ready(node.status).status, 'True');
});

test('a node without a network or without a runtime is not ready and says why', () => {
  const down = { type: 'NetworkReady', status: false, reason: 'NetworkPluginNotReady', message: 'no config' };
  const noNetwork = ready(nodeStatus(identity, { ...facts, runtime: { conditions: [down] } }, undefined));
  assert.equal(noNetwork.status, 'False');
  assert.match(noNetwork.message, /container runtime network not ready.*NetworkPluginNotReady/);
  const noRuntime = ready(nodeStatus(identity, { ...facts, runtime: undefined, runtimeError: 'refused' }, undefined));
  assert.match(noRuntime.message, /container runtime is down: refused/);
});

test('a heartbeat alone is no change; a condition is', () => {
  const before = nodeStatus(identity, facts, undefined);
  const known = { status: before } as never;
  const later = nodeStatus(identity, { ...facts, nowMs: facts.nowMs + 60_000 }, known);
  assert.equal(hasStatusChanged(before, later), false);
  const short = { ...facts, machine: { ...facts.machine, memoryAvailableBytes: 1 } };
  assert.equal(hasStatusChanged(before, nodeStatus(identity, short, known)), true);
});

test('taints are read as kubectl writes them', () => {
  assert.deepEqual(parseTaint('a/b=c:NoExecute'), { key: 'a/b', value: 'c', effect: 'NoExecute' });
  assert.deepEqual(parseTaint('a/b=:NoSchedule'), { key: 'a/b', effect: 'NoSchedule' });
  assert.deepEqual(parseTaint('a:PreferNoSchedule'), { key: 'a', effect: 'PreferNoSchedule' });
  for (const text of ['a', 'a=b', 'a:Never', ':NoSchedule']) assert.equal(parseTaint(text), undefined, text);
});
