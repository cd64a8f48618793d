import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject, KubeObject } from '../../../src/control/api/contract.ts';
import { defaultPlugins, schedulePod, SchedulerCache } from '../../../src/control/scheduler/index.ts';
import { requestsOf } from '../../../src/control/scheduler/pod-resources.ts';
import { SchedulingQueue, unschedulableMaxMs } from '../../../src/control/scheduler/scheduling-queue.ts';
import { FakeClock, seededRandom } from '../client/fakes.ts';

interface NodeParts {
  readonly labels?: Record<string, string>;
  readonly taints?: readonly JsonObject[];
  readonly unschedulable?: boolean;
  readonly cpu?: string;
  readonly memory?: string;
  readonly pods?: string;
}

function node(
  name: string,
  { labels = {}, taints = [], unschedulable, cpu = '4', memory = '8Gi', pods = '110' }: NodeParts = {},
): KubeObject {
  const allocatable = { cpu, memory, pods };
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name,
      uid: name,
      resourceVersion: '1',
      creationTimestamp: '',
      labels: { 'kubernetes.io/hostname': name, ...labels },
    },
    spec: { taints, ...(unschedulable ? { unschedulable } : {}) },
    status: { allocatable },
  };
}

let pods = 0;
function pod(spec: JsonObject = {}, requests: JsonObject = {}, metadata: JsonObject = {}): KubeObject {
  const name = `p${++pods}`;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: 'x',
      uid: name,
      resourceVersion: '1',
      creationTimestamp: '',
      labels: { app: 'web' },
      ...metadata,
    },
    spec: { containers: [{ name: 'm', image: 'i', resources: { requests } }], ...spec },
  };
}

function cacheOf(nodes: readonly KubeObject[], placed: readonly [KubeObject, string][] = []): SchedulerCache {
  const cache = new SchedulerCache();
  for (const each of nodes) cache.setNode(each.metadata.name, each);
  for (const [each, name] of placed)
    cache.setPod(each.metadata.uid, { ...each, spec: { ...each['spec'], nodeName: name } });
  return cache;
}

const place = (cache: SchedulerCache, each: KubeObject, seed = 1) =>
  schedulePod(cache.snapshot(), each, seededRandom(seed), defaultPlugins);
const message = (cache: SchedulerCache, each: KubeObject) => {
  const placement = place(cache, each);
  return placement.node === undefined ? placement.message : `placed on ${placement.node}`;
};

test('a pod that fits nowhere is told why, node by node, in the words of kube-scheduler', () => {
  assert.equal(message(cacheOf([]), pod()), 'no nodes available to schedule pods');
  const nodes = [
    node('a', { cpu: '500m' }),
    node('b', { unschedulable: true }),
    node('c', { taints: [{ key: 'role', value: 'db', effect: 'NoSchedule' }] }),
  ];
  assert.equal(
    message(cacheOf(nodes), pod({}, { cpu: '1' })),
    '0/3 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint {role: db}, 1 node(s) were unschedulable.',
  );
});

const cases: readonly [string, KubeObject, KubeObject, boolean][] = [
  [
    'a tolerated taint',
    node('a', { taints: [{ key: 'k', value: 'v', effect: 'NoSchedule' }] }),
    pod({ tolerations: [{ key: 'k', operator: 'Exists' }] }),
    true,
  ],
  [
    'a taint with another value',
    node('a', { taints: [{ key: 'k', value: 'v', effect: 'NoExecute' }] }),
    pod({ tolerations: [{ key: 'k', value: 'w' }] }),
    false,
  ],
  ['a preference against', node('a', { taints: [{ key: 'k', effect: 'PreferNoSchedule' }] }), pod(), true],
  [
    'a node selector that matches',
    node('a', { labels: { disk: 'ssd' } }),
    pod({ nodeSelector: { disk: 'ssd' } }),
    true,
  ],
  ['a node selector that does not', node('a'), pod({ nodeSelector: { disk: 'ssd' } }), false],
  ['enough memory', node('a', { memory: '1Gi' }), pod({}, { memory: '1024Mi' }), true],
  ['too little memory', node('a', { memory: '1Gi' }), pod({}, { memory: '1025Mi' }), false],
  ['an unknown resource', node('a'), pod({}, { 'example.com/gpu': '1' }), false],
  ['no room for another pod', node('a', { pods: '0' }), pod(), false],
];
for (const [title, where, what, isPlaced] of cases) {
  test(`filter: ${title} ${isPlaced ? 'lets the pod in' : 'keeps the pod out'}`, () => {
    assert.equal(place(cacheOf([where]), what).node, isPlaced ? 'a' : undefined);
  });
}

test('node affinity: any term suffices, within a term all conditions hold', () => {
  const term = (key: string, operator: string, ...values: string[]) => ({
    matchExpressions: [{ key, operator, values }],
  });
  const wants = (...nodeSelectorTerms: JsonObject[]) =>
    pod({ affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } } } });
  const cache = cacheOf([node('a', { labels: { size: '5' } })]);
  assert.equal(place(cache, wants(term('size', 'Gt', '4'))).node, 'a');
  assert.equal(place(cache, wants(term('size', 'Gt', '5'), term('size', 'In', '5', '6'))).node, 'a');
  assert.equal(place(cache, wants(term('size', 'DoesNotExist'))).node, undefined);
  assert.equal(
    place(cache, wants({ matchFields: [{ key: 'metadata.name', operator: 'In', values: ['a'] }] })).node,
    'a',
  );
});

test('host ports are given once per address and node', () => {
  const port = (hostIP?: string) => ({
    containers: [{ name: 'm', ports: [{ containerPort: 80, hostPort: 80, ...(hostIP ? { hostIP } : {}) }] }],
  });
  const cache = cacheOf([node('a')], [[pod(port('10.0.0.1')), 'a']]);
  assert.equal(place(cache, pod(port('10.0.0.2'))).node, 'a');
  assert.equal(
    message(cache, pod(port())),
    "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.",
  );
});

test('the pods of one controller are spread over nodes and zones', () => {
  const owned = () =>
    pod(
      {},
      {},
      { ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 's', uid: 's', controller: true }] },
    );
  const zones = ['z1', 'z1', 'z2', 'z2'];
  const cache = cacheOf(
    zones.map((zone, index) => node(`n${index}`, { labels: { 'topology.kubernetes.io/zone': zone } })),
  );
  const counts = new Map<string, number>();
  for (let index = 0; index < 8; index++) {
    const each = owned();
    const placement = place(cache, each, index + 1);
    assert.ok(placement.node);
    counts.set(placement.node, (counts.get(placement.node) ?? 0) + 1);
    cache.assume(each, placement.node);
  }
  assert.deepEqual([...counts.values()], [2, 2, 2, 2]);
});

test('topology spread constraints are kept exactly', () => {
  const topologySpreadConstraints = [
    {
      maxSkew: 1,
      topologyKey: 'zone',
      whenUnsatisfiable: 'DoNotSchedule',
      labelSelector: { matchLabels: { app: 'web' } },
    },
  ];
  const nodes = [node('a', { labels: { zone: '1' } }), node('b', { labels: { zone: '2' } }), node('c')];
  assert.equal(place(cacheOf(nodes, [[pod(), 'a']]), pod({ topologySpreadConstraints })).node, 'b');
  const full = cacheOf(
    [nodes[0] as KubeObject, node('b', { labels: { zone: '2' }, unschedulable: true })],
    [[pod(), 'a']],
  );
  assert.match(
    message(full, pod({ topologySpreadConstraints })),
    /1 node\(s\) didn't match pod topology spread constraints/,
  );
});

test('pods that want to be together or apart are', () => {
  const term = { labelSelector: { matchLabels: { app: 'web' } }, topologyKey: 'kubernetes.io/hostname' };
  const affinity = (kind: string) => ({
    affinity: { [kind]: { requiredDuringSchedulingIgnoredDuringExecution: [term] } },
  });
  const nodes = [node('a'), node('b')];
  const one: [KubeObject, string][] = [[pod(), 'a']];
  assert.equal(place(cacheOf(nodes, one), pod(affinity('podAffinity'))).node, 'a');
  assert.equal(place(cacheOf(nodes, one), pod(affinity('podAntiAffinity'))).node, 'b');
  assert.ok(place(cacheOf(nodes), pod(affinity('podAffinity'))).node, 'the first of a group has nobody to join');
  const shy: [KubeObject, string][] = [[pod(affinity('podAntiAffinity')), 'a']];
  assert.equal(place(cacheOf(nodes, shy), pod()).node, 'b', 'the one that is there wants to be alone');
});

test('an empty node is preferred to a busy one', () => {
  const busy: [KubeObject, string][] = [[pod({}, { cpu: '3', memory: '6Gi' }), 'a']];
  for (let seed = 1; seed < 20; seed++) {
    assert.equal(place(cacheOf([node('a'), node('b')], busy), pod({}, { cpu: '500m', memory: '1Gi' }), seed).node, 'b');
  }
});

test('requests: containers and sidecars add up, an init step counts when it needs more', () => {
  const requests = (cpu: string) => ({ resources: { requests: { cpu } } });
  const each = pod({
    containers: [requests('100m'), requests('200m')],
    initContainers: [{ ...requests('50m'), restartPolicy: 'Always' }, requests('400m')],
  });
  assert.equal(requestsOf(each)['cpu'], 450);
});

test('random pods never take more than a node has, and the same seed gives the same placement', () => {
  for (let seed = 1; seed <= 60; seed++) {
    const play = () => {
      const random = seededRandom(seed);
      const cache = cacheOf(
        Array.from({ length: 4 }, (_, index) => node(`n${index}`, { cpu: '2', memory: '4Gi', pods: '8' })),
      );
      const placements: string[] = [];
      for (let index = 0; index < 40; index++) {
        const each = pod(
          {},
          { cpu: `${random.integer(1, 10) * 100}m`, memory: `${random.integer(1, 10) * 100}Mi` },
          { name: `q${index}`, uid: `q${index}` },
        );
        const placement = schedulePod(cache.snapshot(), each, random, defaultPlugins);
        placements.push(placement.node ?? '-');
        if (placement.node !== undefined) cache.assume(each, placement.node);
        if (random.integer(0, 3) === 0) cache.setPod(`q${random.integer(0, index)}`, undefined);
      }
      for (const info of cache.snapshot().nodes) {
        assert.ok(
          (info.requested['cpu'] ?? 0) <= 2000 && (info.requested['memory'] ?? 0) <= 4 * 2 ** 30 && info.pods.size <= 8,
        );
      }
      return placements;
    };
    assert.deepEqual(play(), play());
  }
});

test('an assumed pod counts once, is confirmed by the informer and taken back by forget', () => {
  const cache = cacheOf([node('a'), node('b')]);
  const each = pod({}, { cpu: '1' });
  const used = () => cache.snapshot().nodes.map((info) => info.requested['cpu'] ?? 0);
  cache.assume(each, 'a');
  assert.deepEqual(used(), [1000, 0]);
  cache.setPod(each.metadata.uid, each);
  assert.deepEqual(used(), [1000, 0], 'the pod without a node is old news');
  cache.setPod(each.metadata.uid, { ...each, spec: { ...each['spec'], nodeName: 'b' } });
  assert.deepEqual(used(), [0, 1000]);
  cache.forget(each.metadata.uid);
  assert.deepEqual(used(), [0, 1000], 'a confirmed pod stays');
  cache.setPod(each.metadata.uid, undefined);
  assert.deepEqual(used(), [0, 0]);
});

test('the queue takes pods by priority, then by age; failed ones back off or wait for a change', async () => {
  const clock = new FakeClock();
  const queue = new SchedulingQueue(clock);
  for (const [key, priority] of [
    ['low', 0],
    ['high', 10],
    ['low2', 0],
  ] as const)
    queue.add(key, priority);
  assert.deepEqual([queue.pop()?.key, queue.pop()?.key], ['high', 'low']);
  const next = queue.pop();
  assert.equal(next?.key, 'low2');
  queue.addUnschedulable('low2', 0, next?.moves ?? 0);
  await clock.advance(60_000);
  assert.equal(queue.pop(), undefined);
  queue.moveAll();
  assert.equal(queue.pop()?.key, 'low2', 'its back-off is long over');
  const moves = queue.pop()?.moves ?? 1;
  queue.moveAll();
  queue.addUnschedulable('low2', 0, moves - 1);
  assert.deepEqual(queue.lengths(), { active: 0, backoff: 1, unschedulable: 0 }, 'a change came while it was tried');
  await clock.advance(10_000);
  assert.equal(queue.pop()?.key, 'low2');
});

test('a pod that nothing happens for is tried again after five minutes', async () => {
  const clock = new FakeClock();
  const queue = new SchedulingQueue(clock);
  queue.add('a', 0);
  const popped = queue.pop();
  queue.addUnschedulable('a', 0, popped?.moves ?? 0);
  await clock.advance(unschedulableMaxMs - 1);
  assert.equal(queue.pop(), undefined);
  await clock.advance(1);
  assert.equal(queue.pop()?.key, 'a');
});
