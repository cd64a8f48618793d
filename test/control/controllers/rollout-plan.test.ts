/** Deployments and ReplicaSets played out against a cluster of random behaviour, with the promises checked at each step. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '../../../src/control/api/contract.ts';
import { limitsOf, planDeployment, wantedOf } from '../../../src/control/controllers/deployment-plan.ts';
import { planReplicaSet, rankForDeletion } from '../../../src/control/controllers/replicaset-plan.ts';
import { seededRandom } from '../client/fakes.ts';

const time = '2026-01-01T00:00:00Z';
const nowMs = Date.parse(time);

function deployment(replicas: number, extra: object = {}, image = 'a'): KubeObject {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', namespace: 'x', uid: 'd', resourceVersion: '1', creationTimestamp: time, generation: 1 },
    spec: {
      replicas,
      selector: { matchLabels: { app: 'web' } },
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 1 } },
      template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'm', image }] } },
      ...extra,
    },
  };
}

/** Carries a plan out in memory, as the server would. */
function apply(sets: KubeObject[], target: KubeObject, age: { n: number }): number {
  const plan = planDeployment({ deployment: target, sets, pods: [], nowMs });
  for (const action of plan.actions) {
    if (action.kind === 'create') {
      const created = new Date(nowMs + 1000 * ++age.n).toISOString();
      const metadata = {
        ...action.set['metadata'],
        uid: `s${age.n}`,
        creationTimestamp: created,
        resourceVersion: '1',
      };
      assert.ok(!sets.some((set) => set.metadata.name === metadata.name), 'a set is created once');
      sets.push({ ...action.set, metadata, status: {} } as unknown as KubeObject);
    } else if (action.kind === 'update') {
      sets[sets.indexOf(action.set)] = { ...action.next, metadata: { ...action.next.metadata } };
    } else sets.splice(sets.indexOf(action.set), 1);
  }
  return plan.actions.length;
}

const sum = (sets: readonly KubeObject[], value: (set: KubeObject) => number) =>
  sets.reduce((all, set) => all + value(set), 0);
const availableOf = (set: KubeObject) => Math.min(set['status']?.availableReplicas ?? 0, wantedOf(set));

test('random rollouts never exceed maxSurge, never cut below maxUnavailable, and end with the new template alone', () => {
  for (let seed = 1; seed <= 400; seed++) {
    const random = seededRandom(seed);
    const replicas = random.integer(0, 9);
    const maxSurge = random.integer(0, 1) === 0 ? random.integer(0, 4) : `${random.integer(0, 100)}%`;
    let maxUnavailable: number | string =
      random.integer(0, 1) === 0 ? random.integer(0, 4) : `${random.integer(0, 100)}%`;
    if (maxSurge === 0 || maxSurge === '0%') maxUnavailable = 1;
    const strategy = { type: 'RollingUpdate', rollingUpdate: { maxSurge, maxUnavailable } };
    let target = deployment(replicas, { strategy }, 'v0');
    const limits = limitsOf(target);
    const sets: KubeObject[] = [];
    const age = { n: 0 };
    for (let step = 0; step < 400; step++) {
      // The template changes now and then in the first half; then the rollout must come to its end.
      if (step < 120 && random.integer(0, 30) === 0) {
        target = deployment(replicas, { strategy }, `v${random.integer(0, 3)}`);
      }
      const availableBefore = sum(sets, availableOf);
      const wantedBefore = sum(sets, wantedOf);
      const idle = apply(sets, target, age) === 0;
      const where = `seed ${seed} step ${step}: ${JSON.stringify(sets.map((set) => [set['spec'].replicas, set['status']]))}`;
      assert.ok(sum(sets, wantedOf) <= Math.max(replicas + limits.maxSurge, wantedBefore), `surge, ${where}`);
      const floor = Math.min(availableBefore, replicas - limits.maxUnavailable);
      assert.ok(sum(sets, availableOf) >= floor, `availability, ${where}`);
      // Pods come and become available, or fail again, at random; in the end all are well.
      for (const set of sets) {
        const wanted = wantedOf(set);
        const isCalm = step > 200;
        const running =
          Math.min(wanted, set['status'].replicas ?? 0) +
          (isCalm || random.integer(0, 1) ? Math.sign(wanted - (set['status'].replicas ?? 0)) : 0);
        const bounded = Math.max(0, Math.min(wanted, running));
        const available = isCalm ? bounded : random.integer(0, bounded);
        set['status'] = { replicas: bounded, readyReplicas: available, availableReplicas: available };
      }
      if (idle && step > 240) break;
    }
    const active = sets.filter((set) => wantedOf(set) > 0);
    assert.equal(sum(sets, wantedOf), replicas, `seed ${seed}`);
    if (replicas > 0) {
      assert.equal(active.length, 1, `seed ${seed}`);
      assert.equal(
        active[0]?.['spec'].template.spec.containers[0].image,
        target['spec'].template.spec.containers[0].image,
      );
    }
  }
});

test('Recreate starts no new pod while an old one is there', () => {
  const strategy = { type: 'Recreate' };
  const sets: KubeObject[] = [];
  const age = { n: 0 };
  apply(sets, deployment(3, { strategy }, 'a'), age);
  assert.equal(wantedOf(sets[0] as KubeObject), 3);
  (sets[0] as KubeObject)['status'] = { replicas: 3, availableReplicas: 3 };
  const target = deployment(3, { strategy }, 'b');
  apply(sets, target, age);
  assert.deepEqual(sets.map(wantedOf), [0]);
  const pod = (phase: string): KubeObject => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: 'p',
      uid: 'p',
      resourceVersion: '1',
      creationTimestamp: time,
      ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 's', uid: 's1', controller: true }],
    },
    status: { phase },
  });
  assert.deepEqual(planDeployment({ deployment: target, sets, pods: [pod('Running')], nowMs }).actions, []);
  const [action] = planDeployment({ deployment: target, sets, pods: [pod('Succeeded')], nowMs }).actions;
  assert.equal(action?.kind, 'create');
});

test('scaling in the middle of a rollout keeps the proportion and the surge', () => {
  const sets: KubeObject[] = [];
  const age = { n: 0 };
  apply(sets, deployment(10, {}, 'a'), age);
  (sets[0] as KubeObject)['status'] = { replicas: 10, availableReplicas: 10 };
  for (let step = 0; step < 3; step++) apply(sets, deployment(10, {}, 'b'), age);
  const before = sum(sets, wantedOf);
  assert.ok(sets.length === 2 && before <= 11);
  apply(sets, deployment(20, {}, 'b'), age);
  assert.ok(sum(sets, wantedOf) <= 21);
  assert.ok(
    sets.every((set) => wantedOf(set) > 0),
    'neither side vanished',
  );
});

test('a rollout that makes no progress within its deadline says so', () => {
  const before = {
    type: 'Progressing',
    status: 'True',
    reason: 'ReplicaSetUpdated',
    message: '',
    lastUpdateTime: time,
  };
  const target = deployment(2, { progressDeadlineSeconds: 60 });
  const sets: KubeObject[] = [];
  apply(sets, target, { n: 0 });
  target['status'] = { observedGeneration: 1, conditions: [before] };
  const early = planDeployment({ deployment: target, sets, pods: [], nowMs: nowMs + 30_000 });
  assert.equal(early.requeueAfterMs, 31_000);
  const late = planDeployment({ deployment: target, sets, pods: [], nowMs: nowMs + 61_000 });
  const condition = late.status['conditions'].find((each: { type: string }) => each.type === 'Progressing');
  assert.deepEqual([condition.status, condition.reason], ['False', 'ProgressDeadlineExceeded']);
});

function pod(
  name: string,
  extra: {
    labels?: Record<string, string>;
    owner?: string;
    node?: string;
    ready?: boolean;
    phase?: string;
    deleted?: boolean;
  } = {},
): KubeObject {
  const { owner, node = '', ready = false, phase = 'Running', deleted = false, labels = { app: 'web' } } = extra;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      uid: name,
      namespace: 'x',
      resourceVersion: '1',
      creationTimestamp: time,
      labels,
      ...(deleted ? { deletionTimestamp: time } : {}),
      ...(owner === undefined
        ? {}
        : {
            ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: owner, uid: owner, controller: true }],
          }),
    },
    spec: { nodeName: node },
    status: { phase, conditions: [{ type: 'Ready', status: ready ? 'True' : 'False', lastTransitionTime: time }] },
  };
}

const set = (replicas: number, extra: object = {}): KubeObject => ({
  apiVersion: 'apps/v1',
  kind: 'ReplicaSet',
  metadata: { name: 'set', namespace: 'x', uid: 'set', resourceVersion: '1', creationTimestamp: time, generation: 3 },
  spec: {
    replicas,
    selector: { matchLabels: { app: 'web' } },
    template: { metadata: { labels: { app: 'web' } } },
    ...extra,
  },
});

test('a ReplicaSet adopts matching orphans, releases what no longer matches, and counts only living pods', () => {
  const pods = [
    pod('mine', { owner: 'set', ready: true }),
    pod('orphan'),
    pod('other', { owner: 'someone' }),
    pod('strayed', { owner: 'set', labels: { app: 'db' } }),
    pod('failed', { owner: 'set', phase: 'Failed' }),
    pod('going', { owner: 'set', deleted: true }),
  ];
  const plan = planReplicaSet(set(4), pods, nowMs);
  assert.deepEqual(
    plan.adopt.map((each) => each.metadata.name),
    ['orphan'],
  );
  assert.deepEqual(
    plan.release.map((each) => each.metadata.name),
    ['strayed'],
  );
  assert.equal(plan.createCount, 2);
  assert.deepEqual(
    [plan.status['replicas'], plan.status['readyReplicas'], plan.status['observedGeneration']],
    [2, 1, 3],
  );
});

test('the pods that are missed least are deleted first', () => {
  const pods = [
    pod('ready', { node: 'n1', ready: true }),
    pod('crowded', { node: 'n2', ready: true }),
    pod('crowded-too', { node: 'n2', ready: true }),
    pod('not-ready', { node: 'n3' }),
    pod('pending', { node: 'n3', phase: 'Pending' }),
    pod('homeless', { phase: 'Pending' }),
  ];
  const order = rankForDeletion(pods).map((each) => each.metadata.name);
  assert.deepEqual(order.slice(0, 3), ['homeless', 'pending', 'not-ready']);
  assert.equal(order.at(-1), 'ready');
});

test('random ReplicaSets create and delete exactly the difference, and never both', () => {
  for (let seed = 1; seed <= 300; seed++) {
    const random = seededRandom(seed);
    const phases = ['Pending', 'Running', 'Succeeded', 'Failed'];
    const pods = Array.from({ length: random.integer(0, 12) }, (_, index) =>
      pod(`p${index}`, {
        owner: 'set',
        phase: phases[random.integer(0, 3)] as string,
        deleted: random.integer(0, 4) === 0,
        ready: random.integer(0, 1) === 0,
      }),
    );
    const wanted = random.integer(0, 10);
    const plan = planReplicaSet(set(wanted), pods, nowMs);
    const active = plan.status['replicas'] as number;
    assert.equal(active + plan.createCount - plan.deletePods.length, wanted, `seed ${seed}`);
    assert.ok(plan.createCount === 0 || plan.deletePods.length === 0);
    for (const each of plan.deletePods) assert.equal(each.metadata.deletionTimestamp, undefined);
  }
});

test('a pod that is ready but not for minReadySeconds yet is looked at again when it is', () => {
  const plan = planReplicaSet(set(1, { minReadySeconds: 10 }), [pod('a', { owner: 'set', ready: true })], nowMs + 4000);
  assert.equal(plan.status['availableReplicas'], 0);
  assert.equal(plan.requeueAfterMs, 6000);
});
