import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { JsonObject } from '../../../src/control/api/contract.ts';
import { resources } from '../../../src/control/client/index.ts';
import { deployment, eventually, maybe, namesOf, ready, startCluster, type TestCluster } from './harness.ts';

let cluster: TestCluster;

before(async () => {
  cluster = await startCluster();
  await cluster.addNode('n1');
  await cluster.addNode('n2');
});
after(async () => {
  await cluster.stop();
});

async function namespace(name: string): Promise<string> {
  await cluster.admin.create(resources.namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  await eventually(cluster, 'default service account', () =>
    maybe(cluster.admin, resources.serviceAccounts, name, 'default'),
  );
  return name;
}

const status = async (space: string, name: string): Promise<JsonObject> =>
  (await cluster.admin.get(resources.deployments, space, name))['status'] ?? {};

const isRolledOut = async (space: string, name: string, replicas: number) => {
  const found = await cluster.admin.get(resources.deployments, space, name);
  const { observedGeneration, updatedReplicas, availableReplicas, replicas: all } = found['status'] ?? {};
  return (
    observedGeneration === found.metadata.generation &&
    updatedReplicas === replicas &&
    availableReplicas === replicas &&
    all === replicas &&
    found
  );
};

test('every namespace gets a service account and the root certificate, every node a range of addresses', async () => {
  const space = await namespace('gifts');
  const map = await eventually(cluster, 'kube-root-ca.crt', () =>
    maybe(cluster.admin, resources.configMaps, space, 'kube-root-ca.crt'),
  );
  assert.equal(map['data']['ca.crt'], 'the root certificate');
  const cidrs = await eventually(cluster, 'node ranges', async () => {
    const { items } = await cluster.admin.list(resources.nodes);
    const found = items.map((node) => node['spec']?.podCIDR).filter((cidr) => cidr !== undefined);
    return found.length === 2 && found;
  });
  assert.equal(new Set(cidrs).size, 2);
  for (const cidr of cidrs) assert.match(cidr, /^10\.244\.\d+\.0\/24$/);
});

test('a Deployment gets its ReplicaSet and pods, spread over the nodes, and a Service finds them', async () => {
  const space = await namespace('web');
  await cluster.admin.create(resources.deployments, deployment(space, 'web', 4));
  await cluster.admin.create(resources.services, {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'web', namespace: space },
    spec: { selector: { app: 'web' }, ports: [{ name: 'http', port: 80, targetPort: 'http' }] },
  });
  await eventually(cluster, 'rollout', () => isRolledOut(space, 'web', 4));
  const pods = (await cluster.admin.list(resources.pods, { namespace: space })).items;
  const onNodes = Map.groupBy(pods, (pod) => pod['spec'].nodeName);
  assert.deepEqual(
    [...onNodes.values()].map((each) => each.length),
    [2, 2],
  );
  const slice = await eventually(cluster, 'slice of four ready pods', async () => {
    const { items } = await cluster.admin.list(resources.endpointSlices, { namespace: space });
    return items.find((each) => each['endpoints']?.filter((one: JsonObject) => one['conditions'].ready).length === 4);
  });
  assert.equal(slice['ports'][0].port, 8080);
  assert.equal(slice.metadata.labels?.['kubernetes.io/service-name'], 'web');
  const legacy = await eventually(cluster, 'endpoints', () => maybe(cluster.admin, resources.endpoints, space, 'web'));
  await eventually(cluster, 'four addresses', async () => {
    const found = await cluster.admin.get(resources.endpoints, space, 'web');
    return found['subsets']?.[0]?.addresses?.length === 4;
  });
  assert.equal(legacy.metadata.name, 'web');
});

test('a new template rolls out within the limits, keeps the old ReplicaSet and can be undone', async () => {
  const space = await namespace('rolling');
  await cluster.admin.create(resources.deployments, deployment(space, 'app', 4));
  const first = await eventually(cluster, 'rollout', () => isRolledOut(space, 'app', 4));
  assert.equal(first.metadata.annotations?.['deployment.kubernetes.io/revision'], '1');
  const patch = (image: string) => ({
    type: 'strategic' as const,
    body: { spec: { template: { spec: { containers: [{ name: 'main', image }] } } } },
  });
  await cluster.admin.patch(resources.deployments, space, 'app', patch('example.com/image:2'));
  const second = await eventually(cluster, 'rollout', () => isRolledOut(space, 'app', 4));
  await eventually(cluster, 'revision 2', async () => {
    const found = await cluster.admin.get(resources.deployments, space, 'app');
    return found.metadata.annotations?.['deployment.kubernetes.io/revision'] === '2';
  });
  assert.ok(second['status'].conditions.some((each: JsonObject) => each['reason'] === 'NewReplicaSetAvailable'));
  const sets = (await cluster.admin.list(resources.replicaSets, { namespace: space })).items;
  assert.deepEqual(
    sets.map((set) => set['spec'].replicas).sort((a, b) => a - b),
    [0, 4],
  );
  await cluster.admin.patch(resources.deployments, space, 'app', patch('example.com/image:1'));
  await eventually(cluster, 'undo', async () => {
    const found = await isRolledOut(space, 'app', 4);
    return found && found.metadata.annotations?.['deployment.kubernetes.io/revision'] === '3';
  });
  assert.equal((await cluster.admin.list(resources.replicaSets, { namespace: space })).items.length, 2);
});

test('a deleted pod is replaced, scaling down deletes the rest', async () => {
  const space = await namespace('replace');
  await cluster.admin.create(resources.deployments, deployment(space, 'app', 3));
  await eventually(cluster, 'rollout', () => isRolledOut(space, 'app', 3));
  const [victim] = (await cluster.admin.list(resources.pods, { namespace: space })).items;
  await cluster.admin.delete(resources.pods, space, victim?.metadata.name ?? '');
  await eventually(cluster, 'replacement', async () => {
    const { items } = await cluster.admin.list(resources.pods, { namespace: space });
    return items.length === 3 && !items.some((pod) => pod.metadata.uid === victim?.metadata.uid);
  });
  await cluster.admin.patch(resources.deployments, space, 'app', { type: 'merge', body: { spec: { replicas: 1 } } });
  await eventually(
    cluster,
    'one pod',
    async () => (await namesOf(cluster.admin, resources.pods, { namespace: space })).length === 1,
  );
  await eventually(cluster, 'status', async () => (await status(space, 'app'))['replicas'] === 1);
});

test('a Job runs its pods to completion', async () => {
  const space = await namespace('jobs');
  const before = cluster.onPod;
  cluster.onPod = (pod) => (pod.metadata.namespace === space ? { phase: 'Succeeded' } : ready());
  await cluster.admin.create(resources.jobs, {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: 'sum', namespace: space },
    spec: {
      completions: 3,
      parallelism: 2,
      template: { spec: { restartPolicy: 'Never', containers: [{ name: 'main', image: 'example.com/image:1' }] } },
    },
  });
  const job = await eventually(cluster, 'completion', async () => {
    const found = await cluster.admin.get(resources.jobs, space, 'sum');
    return found['status']?.conditions?.some((each: JsonObject) => each['type'] === 'Complete') && found;
  });
  assert.equal(job['status'].succeeded, 3);
  assert.equal((await cluster.admin.list(resources.pods, { namespace: space })).items.length, 3);
  cluster.onPod = before;
});

test('deleting a Deployment in the background removes its ReplicaSets and pods; an orphaned ReplicaSet stays', async () => {
  const space = await namespace('garbage');
  await cluster.admin.create(resources.deployments, deployment(space, 'gone', 2));
  await cluster.admin.create(resources.deployments, deployment(space, 'kept', 1));
  await eventually(cluster, 'rollout', () => isRolledOut(space, 'gone', 2));
  await eventually(cluster, 'rollout', () => isRolledOut(space, 'kept', 1));
  await cluster.admin.delete(resources.deployments, space, 'gone', { propagationPolicy: 'Background' });
  await cluster.admin.delete(resources.deployments, space, 'kept', { propagationPolicy: 'Orphan' });
  await eventually(cluster, 'only the orphan is left', async () => {
    const deployments = await namesOf(cluster.admin, resources.deployments, { namespace: space });
    const { items: sets } = await cluster.admin.list(resources.replicaSets, { namespace: space });
    const pods = await namesOf(cluster.admin, resources.pods, { namespace: space });
    return (
      deployments.length === 0 && sets.length === 1 && pods.length === 1 && !sets[0]?.metadata.ownerReferences?.length
    );
  });
});

test('deleting a Deployment in the foreground waits for its pods', async () => {
  const space = await namespace('foreground');
  await cluster.admin.create(resources.deployments, deployment(space, 'app', 2));
  await eventually(cluster, 'rollout', () => isRolledOut(space, 'app', 2));
  await cluster.admin.delete(resources.deployments, space, 'app', { propagationPolicy: 'Foreground' });
  await eventually(cluster, 'all gone', async () => {
    const deployment = await maybe(cluster.admin, resources.deployments, space, 'app');
    const pods = await namesOf(cluster.admin, resources.pods, { namespace: space });
    if (deployment === undefined) assert.deepEqual(pods, []);
    return deployment === undefined;
  });
});

test('a deleted namespace takes everything in it along', async () => {
  const space = await namespace('doomed');
  await cluster.admin.create(resources.deployments, deployment(space, 'app', 2));
  await cluster.admin.create(resources.configMaps, {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'data', namespace: space },
  });
  await eventually(cluster, 'rollout', () => isRolledOut(space, 'app', 2));
  await cluster.admin.delete(resources.namespaces, '', space);
  await eventually(
    cluster,
    'gone',
    async () => (await maybe(cluster.admin, resources.namespaces, '', space)) === undefined,
  );
  assert.deepEqual(await namesOf(cluster.admin, resources.pods, { namespace: space }), []);
  assert.deepEqual(await namesOf(cluster.admin, resources.configMaps, { namespace: space }), []);
});

test('a pod that fits nowhere says why and is placed when a node comes', async () => {
  const space = await namespace('picky');
  await cluster.admin.create(resources.pods, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'picky', namespace: space },
    spec: { nodeSelector: { disk: 'fast' }, containers: [{ name: 'main', image: 'example.com/image:1' }] },
  });
  const pod = await eventually(cluster, 'condition', async () => {
    const found = await cluster.admin.get(resources.pods, space, 'picky');
    return found['status']?.conditions?.some((each: JsonObject) => each['type'] === 'PodScheduled') && found;
  });
  const condition = pod['status'].conditions.find((each: JsonObject) => each['type'] === 'PodScheduled');
  assert.equal(condition.reason, 'Unschedulable');
  assert.equal(condition.message, "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector.");
  await cluster.admin.patch(resources.nodes, '', 'n2', {
    type: 'merge',
    body: { metadata: { labels: { disk: 'fast' } } },
  });
  await eventually(cluster, 'placement', async () => {
    return (await cluster.admin.get(resources.pods, space, 'picky'))['spec'].nodeName === 'n2';
  });
  const events = (await cluster.admin.list(resources.events, { namespace: space })).items.map((each) => each['reason']);
  assert.ok(events.includes('FailedScheduling'));
});

test('a node that goes silent turns unreachable and its pods are replaced after their toleration', async () => {
  const space = await namespace('silent');
  const body = deployment(space, 'app', 2);
  const [key, operator, effect] = ['node.kubernetes.io/unreachable', 'Exists', 'NoExecute'];
  body['spec'].template.spec.tolerations = [{ key, operator, effect, tolerationSeconds: 1 }];
  await cluster.admin.create(resources.deployments, body);
  await eventually(cluster, 'rollout', () => isRolledOut(space, 'app', 2));
  cluster.silence('n1');
  await eventually(cluster, 'unreachable taint', async () => {
    const node = await cluster.admin.get(resources.nodes, '', 'n1');
    const unknown = node['status'].conditions.some(
      (each: JsonObject) => each['type'] === 'Ready' && each['status'] === 'Unknown',
    );
    return unknown && node['spec'].taints?.some((each: JsonObject) => each['key'] === key && each['effect'] === effect);
  });
  await eventually(cluster, 'replacement on n2', async () => {
    const { items } = await cluster.admin.list(resources.pods, { namespace: space });
    const standing = items.filter((pod) => pod.metadata.deletionTimestamp === undefined);
    return standing.length === 2 && standing.every((pod) => pod['spec'].nodeName === 'n2');
  });
  await eventually(cluster, 'available again', async () => (await status(space, 'app'))['availableReplicas'] === 2);
});
