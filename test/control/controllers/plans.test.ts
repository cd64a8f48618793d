import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject, KubeObject } from '../../../src/control/api/contract.ts';
import { chooseControllers } from '../../../src/control/controllers/index.ts';
import { planEndpoints, planEndpointSlices } from '../../../src/control/controllers/endpoints-plan.ts';
import { planGarbage } from '../../../src/control/controllers/garbage-collector-plan.ts';
import { formatIndexes, parseIndexes, planJob } from '../../../src/control/controllers/job-plan.ts';
import { nextNodeCidr } from '../../../src/control/controllers/node-ipam-plan.ts';
import {
  evictionDelayMs,
  evictionRate,
  planNodeConditions,
  planNodeTaints,
  zoneState,
} from '../../../src/control/controllers/node-lifecycle-plan.ts';
import { planPodGc } from '../../../src/control/controllers/pod-gc-plan.ts';

const time = '2026-01-01T00:00:00Z';
const nowMs = Date.parse(time);

function object(kind: string, name: string, rest: JsonObject = {}, metadata: JsonObject = {}): KubeObject {
  const base = { name, namespace: 'x', uid: name, resourceVersion: '1', creationTimestamp: time };
  return { apiVersion: 'v1', kind, metadata: { ...base, ...metadata }, ...rest } as KubeObject;
}

const node = (name: string, ready: string | undefined, spec: JsonObject = {}): KubeObject =>
  object('Node', name, { spec, status: { conditions: ready === undefined ? [] : [{ type: 'Ready', status: ready }] } });

test('a node is Unknown only after the grace period, a new one after its startup grace', () => {
  const timings = { graceMs: 40_000, startupGraceMs: 60_000 };
  assert.equal(planNodeConditions(node('a', 'True'), 40_000, timings, time), undefined);
  const conditions = planNodeConditions(node('a', 'True'), 40_001, timings, time);
  assert.deepEqual(
    conditions?.map((each) => each['status']),
    ['Unknown', 'Unknown', 'Unknown', 'Unknown'],
  );
  assert.equal(planNodeConditions(node('a', undefined), 50_000, timings, time), undefined);
  assert.ok(planNodeConditions(node('a', undefined), 60_001, timings, time));
});

test('taints follow the Ready condition; NoExecute waits for the eviction rate and goes when all is lost', () => {
  const keys = (taints: JsonObject[] | undefined) =>
    taints?.map((each) => `${each['key'].split('/')[1]}:${each['effect']}`);
  const plan = (each: KubeObject, mayEvict: boolean, mustSpare = false) =>
    keys(planNodeTaints(each, { mayEvict, mustSpare, nowText: time }));
  assert.equal(plan(node('a', 'True'), true), undefined);
  assert.deepEqual(plan(node('a', 'Unknown'), false), ['unreachable:NoSchedule']);
  assert.deepEqual(plan(node('a', 'Unknown'), true), ['unreachable:NoSchedule', 'unreachable:NoExecute']);
  assert.deepEqual(plan(node('a', 'False'), true), ['not-ready:NoSchedule', 'not-ready:NoExecute']);
  const taints = [
    { key: 'node.kubernetes.io/unreachable', effect: 'NoSchedule' },
    { key: 'node.kubernetes.io/unreachable', effect: 'NoExecute' },
    { key: 'mine', effect: 'NoExecute' },
  ];
  assert.equal(
    plan(
      object('Node', 'a', {
        spec: { taints: [taints[2]] },
        status: { conditions: [{ type: 'Ready', status: 'True' }] },
      }),
      true,
    ),
    undefined,
  );
  const lost = node('a', 'Unknown', { taints: taints.slice(0, 2) });
  assert.equal(plan(lost, false), undefined, 'a taint that is there stays');
  assert.deepEqual(plan(lost, false, true), ['unreachable:NoSchedule']);
  assert.deepEqual(plan(node('a', 'True', { taints: taints.slice(0, 2) }), false), []);
});

test('when every zone is lost nobody is evicted; when most of a small zone is lost nobody there is', () => {
  const rates = { normal: 0.1, secondary: 0.01, largeClusterSizeThreshold: 50 };
  const nodes = (...states: string[]) => states.map((state, index) => node(`n${index}`, state));
  assert.equal(zoneState(nodes('True', 'Unknown'), 0.55), 'normal');
  assert.equal(zoneState(nodes('True', 'Unknown', 'False', 'Unknown'), 0.55), 'partialDisruption');
  assert.equal(zoneState(nodes('Unknown', 'Unknown'), 0.55), 'fullDisruption');
  assert.equal(evictionRate('fullDisruption', 2, true, rates), 0);
  assert.equal(evictionRate('fullDisruption', 2, false, rates), 0.1);
  assert.equal(evictionRate('partialDisruption', 4, false, rates), 0);
  assert.equal(evictionRate('partialDisruption', 100, false, rates), 0.01);
});

test('a pod stays on a tainted node as long as its tolerations last', () => {
  const taint = { key: 'node.kubernetes.io/unreachable', effect: 'NoExecute' };
  const pod = (...tolerations: JsonObject[]) => object('Pod', 'p', { spec: { tolerations } });
  const exists = { key: taint.key, operator: 'Exists', effect: 'NoExecute' };
  assert.equal(
    evictionDelayMs(pod(), [taint], () => 0),
    0,
  );
  assert.equal(
    evictionDelayMs(pod({ ...exists, tolerationSeconds: 300 }), [taint], () => 100_000),
    200_000,
  );
  assert.equal(
    evictionDelayMs(pod({ ...exists, tolerationSeconds: 300 }), [taint], () => 400_000),
    0,
  );
  assert.equal(
    evictionDelayMs(pod({ operator: 'Exists' }), [taint], () => 0),
    undefined,
  );
  assert.equal(
    evictionDelayMs(pod(), [], () => 0),
    undefined,
  );
});

test('nodes get the lowest free range and none when the cluster range is used up', () => {
  assert.equal(nextNodeCidr('10.244.0.0/16', 24, []), '10.244.0.0/24');
  assert.equal(nextNodeCidr('10.244.0.0/16', 24, ['10.244.0.0/24', '10.244.2.0/24']), '10.244.1.0/24');
  assert.equal(nextNodeCidr('10.244.0.0/23', 24, ['10.244.0.0/24', '10.244.1.0/24']), undefined);
  assert.equal(nextNodeCidr('10.0.0.0/8', 24, ['10.0.0.0/16']), '10.1.0.0/24');
  assert.throws(() => nextNodeCidr('10.244.0.0/16', 12, []), /does not fit/);
});

const service = (spec: JsonObject = {}): KubeObject =>
  object('Service', 'web', {
    spec: { selector: { app: 'web' }, ports: [{ name: 'http', port: 80, targetPort: 'http' }], ...spec },
  });
const backend = (index: number, ready = true, metadata: JsonObject = {}): KubeObject =>
  object(
    'Pod',
    `p${index}`,
    {
      spec: { nodeName: 'n1', containers: [{ ports: [{ name: 'http', containerPort: 8080 }] }] },
      status: {
        phase: 'Running',
        podIP: `10.244.${index >> 8}.${index & 255}`,
        conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
      },
    },
    metadata,
  );

test('slices hold a hundred endpoints each, change only where a pod changed, and settle', () => {
  const pods = Array.from({ length: 250 }, (_, index) => backend(index));
  const first = planEndpointSlices(service(), pods, [], () => 'z1');
  assert.deepEqual(
    first.create.map((each) => each['endpoints'].length),
    [100, 100, 50],
  );
  assert.equal(first.create[0]?.['ports'][0].port, 8080);
  assert.equal(first.create[0]?.['endpoints'][0].zone, 'z1');
  const slices = first.create.map((each, index) =>
    object('EndpointSlice', `s${index}`, each, { labels: each['metadata'].labels }),
  );
  for (const slice of slices) slice.metadata = { ...slice.metadata, name: slice.metadata.name };
  const settled = planEndpointSlices(service(), pods, slices, () => 'z1');
  assert.deepEqual([settled.create.length, settled.update.length, settled.delete.length], [0, 0, 0]);
  pods[120] = backend(120, false);
  const changed = planEndpointSlices(service(), pods, slices, () => 'z1');
  assert.deepEqual([changed.create.length, changed.update.length, changed.delete.length], [0, 1, 0]);
  const emptied = planEndpointSlices(service(), [], slices, () => 'z1');
  assert.deepEqual([emptied.create.length, emptied.update.length, emptied.delete.length], [1, 0, 3]);
});

test('a terminating pod serves but is not ready; unready pods are published only when the Service asks for it', () => {
  const pods = [backend(1, true, { deletionTimestamp: time }), backend(2, false)];
  const conditions = (spec: JsonObject) =>
    planEndpointSlices(service(spec), pods, [], () => undefined).create[0]?.['endpoints'].map(
      (each: JsonObject) => each['conditions'],
    );
  assert.deepEqual(conditions({}), [
    { ready: false, serving: true, terminating: true },
    { ready: false, serving: false, terminating: false },
  ]);
  assert.deepEqual(
    conditions({ publishNotReadyAddresses: true }).map((each: JsonObject) => each['ready']),
    [true, true],
  );
  const [subset] = planEndpoints(service(), [...pods, backend(3)]);
  assert.deepEqual(
    subset?.['addresses'].map((each: JsonObject) => each['ip']),
    ['10.244.0.3'],
  );
  assert.deepEqual(
    subset?.['notReadyAddresses'].map((each: JsonObject) => each['ip']),
    ['10.244.0.2'],
  );
});

const job = (spec: JsonObject, status: JsonObject = {}): KubeObject =>
  object('Job', 'j', { spec: { template: { spec: {} }, ...spec }, status });
const worker = (name: string, phase: string): KubeObject => object('Pod', name, { status: { phase } });

test('a Job starts up to its parallelism, never more than are left, and completes', () => {
  const plan = (spec: JsonObject, ...phases: string[]) =>
    planJob(
      job(spec),
      phases.map((phase, index) => worker(`p${index}`, phase)),
      nowMs,
    );
  assert.equal(plan({ completions: 5, parallelism: 3 }).createCount, 3);
  assert.equal(plan({ completions: 5, parallelism: 3 }, 'Running').createCount, 2);
  assert.equal(
    plan({ completions: 5, parallelism: 3 }, 'Succeeded', 'Succeeded', 'Succeeded', 'Succeeded').createCount,
    1,
  );
  const done = plan({ completions: 2, parallelism: 2 }, 'Succeeded', 'Succeeded');
  assert.equal(done.finished?.reason, 'Completed');
  assert.equal(done.status['completionTime'], time);
  assert.deepEqual(
    done.status['conditions'].map((each: JsonObject) => each['type']),
    ['SuccessCriteriaMet', 'Complete'],
  );
  assert.equal(plan({ parallelism: 2 }, 'Succeeded', 'Running').createCount, 0);
});

test('a Job that fails more often than its limit fails; before that it backs off', () => {
  const spec = { completions: 1, parallelism: 1, backoffLimit: 1 };
  const once = planJob(job(spec), [worker('a', 'Failed')], nowMs + 3000);
  assert.deepEqual([once.createCount, once.requeueAfterMs], [0, 7000]);
  assert.equal(planJob(job(spec), [worker('a', 'Failed')], nowMs + 10_000).createCount, 1);
  const failed = planJob(job(spec), [worker('a', 'Failed'), worker('b', 'Failed')], nowMs);
  assert.equal(failed.finished?.reason, 'BackoffLimitExceeded');
  const late = planJob(
    job({ ...spec, activeDeadlineSeconds: 5 }, { startTime: time }),
    [worker('a', 'Running')],
    nowMs + 5000,
  );
  assert.equal(late.finished?.reason, 'DeadlineExceeded');
  assert.equal(late.deletePods.length, 1);
});

test('a finished Job goes after its time to live; a suspended one runs nothing', () => {
  const status = { conditions: [{ type: 'Complete', status: 'True', lastTransitionTime: time }] };
  const plan = (atMs: number) => planJob(job({ ttlSecondsAfterFinished: 10 }, status), [], atMs);
  assert.equal(plan(nowMs + 4000).requeueAfterMs, 6000);
  assert.equal(plan(nowMs + 10_000).deleteJob, true);
  const suspended = planJob(job({ suspend: true }), [worker('a', 'Running')], nowMs);
  assert.deepEqual([suspended.createCount, suspended.deletePods.length], [0, 1]);
});

test('completed indexes are written as ranges and read back', () => {
  assert.equal(formatIndexes([5, 0, 1, 2, 8, 9]), '0-2,5,8,9');
  assert.deepEqual(parseIndexes('0-2,5,8,9'), [0, 1, 2, 5, 8, 9]);
});

test('an object goes only when all of its owners are absent or wait for it', () => {
  const owned = (...uids: string[]) =>
    object('Pod', 'p', {}, { ownerReferences: uids.map((uid) => ({ apiVersion: 'v1', kind: 'X', name: uid, uid })) });
  assert.deepEqual(planGarbage(owned('a'), ['present'], []), { kind: 'none' });
  assert.deepEqual(planGarbage(owned('a'), ['absent'], []), { kind: 'delete', propagationPolicy: 'Background' });
  assert.equal(planGarbage(owned('a', 'b'), ['absent', 'present'], []).kind, 'dropOwners');
  assert.deepEqual(planGarbage(owned('a'), ['waiting'], [owned('p')]), {
    kind: 'delete',
    propagationPolicy: 'Foreground',
  });
  assert.deepEqual(planGarbage(object('Pod', 'p'), [], []), { kind: 'none' });
});

test('foreground deletion waits for dependents that block it; orphaning lets go of them first', () => {
  const owner = (finalizer: string) => object('X', 'o', {}, { deletionTimestamp: time, finalizers: [finalizer] });
  const dependent = (metadata: JsonObject = {}) =>
    object(
      'Pod',
      'p',
      {},
      {
        ownerReferences: [{ apiVersion: 'v1', kind: 'X', name: 'o', uid: 'o', blockOwnerDeletion: true }],
        ...metadata,
      },
    );
  assert.equal(planGarbage(owner('foregroundDeletion'), [], [dependent()]).kind, 'deleteDependents');
  assert.equal(planGarbage(owner('foregroundDeletion'), [], [dependent({ deletionTimestamp: time })]).kind, 'none');
  assert.equal(planGarbage(owner('foregroundDeletion'), [], []).kind, 'removeFinalizer');
  assert.equal(planGarbage(owner('orphan'), [], [dependent()]).kind, 'orphanDependents');
  assert.equal(planGarbage(owner('orphan'), [], []).kind, 'removeFinalizer');
});

test('pods of nodes that do not exist and finished pods above the limit are removed', () => {
  const pods = [
    object('Pod', 'lost', { spec: { nodeName: 'gone' }, status: { phase: 'Running' } }),
    object('Pod', 'fine', { spec: { nodeName: 'here' }, status: { phase: 'Running' } }),
    object('Pod', 'never', { spec: {}, status: {} }, { deletionTimestamp: time }),
    object(
      'Pod',
      'old',
      { spec: { nodeName: 'here' }, status: { phase: 'Failed' } },
      { creationTimestamp: '2025-01-01T00:00:00Z' },
    ),
    object('Pod', 'new', { spec: { nodeName: 'here' }, status: { phase: 'Failed' } }),
  ];
  const due = planPodGc(pods, new Set(['gone']), 1).map(({ pod }) => pod.metadata.name);
  assert.deepEqual(due.sort(), ['lost', 'never', 'old']);
});

test('--controllers chooses by name and by exception, and refuses names that are none', () => {
  assert.ok(chooseControllers(['*']).length > 10);
  assert.deepEqual(chooseControllers(['job', 'deployment-controller']), ['deployment', 'job']);
  assert.ok(!chooseControllers(['*', '-job']).includes('job'));
  assert.throws(() => chooseControllers(['nope']), /no controller/);
});
