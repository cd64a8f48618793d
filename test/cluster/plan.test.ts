import assert from 'node:assert/strict';
import { test } from 'node:test';
import { masterComponents } from '../../src/cluster/master.ts';
import { overlaps } from '../../src/cluster/network.ts';
import { checkChoices, evenMastersExplanation, makePlan, metricsTargets } from '../../src/cluster/plan.ts';
import { prometheusConfig } from '../../src/cluster/summary.ts';

const choices = {
  masters: 3,
  nodes: 2,
  mastersRunNodes: false,
  nodeMonitorPeriodMs: 5_000,
  nodeMonitorGraceMs: 40_000,
  tolerationSeconds: 300,
};
const plan = makePlan({ id: 'abc123', directory: '/c', subnet: '10.89.0', apiPort: 6443, choices });

test('every host has a namespace and an address of its own', () => {
  assert.deepEqual(
    plan.hosts.map((host) => host.name),
    ['m1', 'm2', 'm3', 'n1', 'n2'],
  );
  assert.equal(new Set(plan.hosts.map((host) => host.address)).size, 5);
  assert.equal(new Set(plan.hosts.map((host) => host.namespace)).size, 5);
});

test('an odd number of masters needs no explanation; an even one says what the quorum does and how to go on', () => {
  assert.equal(evenMastersExplanation(3), undefined);
  const text = evenMastersExplanation(4) ?? '';
  assert.match(text, /of 4 that is 3/);
  assert.match(text, /--masters 3 or --masters 5/);
  assert.match(text, /--allow-even-masters/);
});

test('a directory with another shape of cluster is refused before anything is touched', () => {
  checkChoices(plan, { masters: 3 });
  assert.throws(() => checkChoices(plan, { masters: 5 }), /masters 3, not 5.*--fresh/);
});

test('each master is told of all, and reaches its own API server and store first', () => {
  const components = masterComponents({
    name: 'm2',
    directory: '/c/masters/m2',
    pkiDirectory: '/c/masters/m2/pki',
    address: '10.89.0.12',
    masters: plan.hosts.filter((host) => host.role === 'master'),
    clusterToken: 't',
    serviceCidr: '10.96.0.0/16',
    podCidr: '10.244.0.0/16',
    nodeMonitorPeriodMs: 5_000,
    nodeMonitorGraceMs: 40_000,
    tolerationSeconds: 300,
    controllers: '*',
  });
  assert.deepEqual(
    components.map((component) => component.name),
    ['store', 'apiserver', 'controller-manager', 'scheduler'],
  );
  const flag = (component: number, name: string) =>
    components[component]?.args.find((arg) => arg.startsWith(`--${name}=`));
  assert.equal(
    flag(0, 'initial-cluster'),
    '--initial-cluster=m1=https://10.89.0.11:2380,m2=https://10.89.0.12:2380,m3=https://10.89.0.13:2380',
  );
  assert.match(flag(1, 'etcd-servers') ?? '', /^--etcd-servers=https:\/\/10\.89\.0\.12:2379,/);
  assert.match(flag(3, 'servers') ?? '', /^--servers=https:\/\/10\.89\.0\.12:6443,/);
});

test('Prometheus is told of every component of every host', () => {
  const text = prometheusConfig(
    plan,
    'a: [__STORE_TARGETS__] b: [__CONTROLLER_MANAGER_TARGETS__] c: __PKI__ d: [__NODE_TARGETS__]',
  );
  assert.equal(metricsTargets(plan).length, 3 * 4 + 2);
  assert.match(text, /a: \["10\.89\.0\.11:2381", "10\.89\.0\.12:2381", "10\.89\.0\.13:2381"\]/);
  assert.match(text, /b: \["10\.89\.0\.11:10257"/);
  assert.doesNotMatch(text, /__/);
});

test('a network that a route of the machine touches is not free', () => {
  assert.equal(overlaps('10.89.0.0/24', '10.89.0'), true);
  assert.equal(overlaps('10.0.0.0/8', '10.89.0'), true);
  assert.equal(overlaps('10.89.0.77', '10.89.0'), true);
  assert.equal(overlaps('10.89.1.0/24', '10.89.0'), false);
  assert.equal(overlaps('192.168.0.0/16', '10.89.0'), false);
});
