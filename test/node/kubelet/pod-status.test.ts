import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject, KubeObject } from '../../../src/control/api/contract.ts';
import type { PodContainer } from '../../../src/node/kubelet/plan-pod-contract.ts';
import { podStatus, qosClass, type StatusInput } from '../../../src/node/kubelet/pod-status.ts';
import { countProbe, noProbeYet } from '../../../src/node/kubelet/probe-count.ts';

const nowMs = Date.parse('2026-01-02T03:04:05Z');

function pod(spec: JsonObject = {}, status: JsonObject = {}): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', namespace: 'ns', uid: 'u', resourceVersion: '1', creationTimestamp: '' },
    spec: { containers: [{ name: 'a', image: 'i' }], ...spec },
    status,
  };
}

function run(name: string, more: Partial<PodContainer> = {}): PodContainer {
  return {
    id: `${name}-id`,
    sandboxId: 's',
    name,
    attempt: 0,
    image: 'i',
    imageRef: 'sha256:1',
    state: 'running',
    createdAtMs: nowMs,
    startedAtMs: nowMs,
    finishedAtMs: 0,
    exitCode: 0,
    reason: '',
    message: '',
    labels: {},
    annotations: {},
    logPath: '',
    ...more,
  };
}

const sandbox = {
  id: 's',
  isReady: true,
  metadata: { name: 'p', namespace: 'ns', uid: 'u', attempt: 0 },
  createdAtMs: nowMs,
  labels: {},
  annotations: {},
  ips: ['10.0.0.9'],
};

function status(input: Partial<StatusInput> & { containers?: PodContainer[] }): JsonObject {
  const containers = input.containers ?? [];
  return podStatus({
    pod: pod(),
    runtime: { sandboxes: [sandbox], containers },
    plan: { waiting: new Map(), outcome: 'live' },
    probes: new Map(containers.map((each) => [each.id, { isStarted: true, isReady: true }])),
    end: undefined,
    terminationMessages: new Map(),
    hostIps: ['192.0.2.1'],
    nowMs,
    ...input,
  });
}

const condition = (object: JsonObject, type: string) =>
  object.conditions.find((each: JsonObject) => each.type === type);

test('a pod that runs and is ready says so, with its addresses', () => {
  const result = status({ containers: [run('a')] });
  assert.equal(result.phase, 'Running');
  assert.equal(result.podIP, '10.0.0.9');
  assert.equal(result.hostIP, '192.0.2.1');
  for (const type of ['PodReadyToStartContainers', 'Initialized', 'Ready', 'ContainersReady', 'PodScheduled']) {
    assert.equal(condition(result, type).status, 'True', type);
  }
  const [container] = result.containerStatuses;
  assert.deepEqual([container.ready, container.started, container.containerID], [true, true, 'containerd://a-id']);
});

test('a pod is Pending until every container has begun, and Running while one crashes', () => {
  const waiting = new Map([['a', { reason: 'ErrImagePull', message: 'no' }]]);
  const pending = status({ plan: { waiting, outcome: 'live' } });
  assert.equal(pending.phase, 'Pending');
  assert.deepEqual(pending.containerStatuses[0].state, { waiting: { reason: 'ErrImagePull', message: 'no' } });
  assert.equal(condition(pending, 'Ready').message, 'containers with unready status: [a]');
  const crashed = run('a', { state: 'exited', exitCode: 1, finishedAtMs: nowMs });
  const crashing = status({
    containers: [crashed],
    plan: { waiting: new Map([['a', { reason: 'CrashLoopBackOff', message: 'back-off' }]]), outcome: 'live' },
  });
  assert.equal(crashing.phase, 'Running');
  assert.equal(crashing.containerStatuses[0].lastState.terminated.exitCode, 1);
});

test('a pod that has ended is Succeeded or Failed by its exit codes', () => {
  const plan = { waiting: new Map(), outcome: 'ended' as const };
  const exited = (exitCode: number) => [run('a', { state: 'exited', exitCode, finishedAtMs: nowMs })];
  const good = status({ containers: exited(0), plan, pod: pod({ restartPolicy: 'Never' }) });
  assert.deepEqual([good.phase, condition(good, 'Ready').reason], ['Succeeded', 'PodCompleted']);
  const bad = status({ containers: exited(3), plan, pod: pod({ restartPolicy: 'Never' }) });
  assert.deepEqual([bad.phase, condition(bad, 'Ready').reason], ['Failed', 'PodFailed']);
  assert.equal(bad.containerStatuses[0].state.terminated.reason, 'Error');
});

test('transition times stay while a condition stays', () => {
  const known = { type: 'Ready', status: 'True', lastTransitionTime: '2020-01-01T00:00:00Z' };
  const same = status({ pod: pod({}, { conditions: [known] }), containers: [run('a')] });
  assert.equal(condition(same, 'Ready').lastTransitionTime, '2020-01-01T00:00:00Z');
  const other = status({ pod: pod({}, { conditions: [{ ...known, status: 'False' }] }), containers: [run('a')] });
  assert.equal(condition(other, 'Ready').lastTransitionTime, '2026-01-02T03:04:05Z');
});

test('a closed readiness gate keeps a pod with ready containers from being ready', () => {
  const result = status({ pod: pod({ readinessGates: [{ conditionType: 'x/y' }] }), containers: [run('a')] });
  assert.equal(condition(result, 'ContainersReady').status, 'True');
  assert.deepEqual(
    [condition(result, 'Ready').status, condition(result, 'Ready').reason],
    ['False', 'ReadinessGatesNotReady'],
  );
});

test('the quality of service follows requests and limits', () => {
  const of = (resources: JsonObject) => qosClass(pod({ containers: [{ name: 'a', resources }] }));
  assert.equal(of({}), 'BestEffort');
  assert.equal(of({ requests: { cpu: '1' } }), 'Burstable');
  assert.equal(of({ limits: { cpu: '1', memory: '1Gi' } }), 'Guaranteed');
  assert.equal(of({ limits: { cpu: '1', memory: '1Gi' }, requests: { cpu: '500m' } }), 'Burstable');
});

test('a probe changes its mind only after enough results in a row', () => {
  const thresholds = { success: 2, failure: 3 };
  let count = noProbeYet;
  const verdicts = '++-+---+-++'.split('').map((sign) => {
    count = countProbe(count, sign === '+', thresholds);
    return count.verdict === undefined ? '?' : count.verdict ? 'T' : 'F';
  });
  assert.equal(verdicts.join(''), '?TTTTTFFFFT');
});
