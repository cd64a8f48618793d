/** The pod plan as a table of stories: what there is, and what is to be done next. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '../../../src/control/api/contract.ts';
import {
  crashDelayMaxMs,
  healthyAfterMs,
  planRestart,
  restartDelayAnnotation,
} from '../../../src/node/kubelet/crash-back-off.ts';
import { planPod } from '../../../src/node/kubelet/plan-pod.ts';
import {
  containerHashAnnotation,
  type PlanInput,
  type PodContainer,
  type PodPlan,
  type ProbeVerdict,
} from '../../../src/node/kubelet/plan-pod-contract.ts';

const nowMs = 1_000_000_000;
const started: ProbeVerdict = { isStarted: true, isReady: true };

function pod(spec: Record<string, unknown> = {}, status: Record<string, unknown> = {}): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', namespace: 'ns', uid: 'u', resourceVersion: '1', creationTimestamp: '' },
    spec: { containers: [{ name: 'a', image: 'i' }], ...spec },
    status,
  };
}

function sandbox(id: string, attempt: number, isReady: boolean) {
  return {
    id,
    isReady,
    metadata: { name: 'p', namespace: 'ns', uid: 'u', attempt },
    createdAtMs: nowMs - 60_000,
    labels: {},
    annotations: {},
    ips: ['10.0.0.1'],
  };
}

function run(name: string, more: Partial<PodContainer> = {}): PodContainer {
  const attempt = more.attempt ?? 0;
  return {
    id: `${name}${attempt}`,
    sandboxId: 's0',
    name,
    attempt,
    image: 'i',
    imageRef: 'r',
    state: 'running',
    createdAtMs: nowMs - 50_000,
    startedAtMs: nowMs - 50_000,
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

function ended(name: string, exitCode: number, more: Partial<PodContainer> = {}): PodContainer {
  return run(name, { state: 'exited', exitCode, finishedAtMs: nowMs - 1000, ...more });
}

function plan(input: Partial<PlanInput> & { pod: KubeObject; containers?: PodContainer[] }): PodPlan {
  const containers = input.containers ?? [];
  return planPod({
    runtime: { sandboxes: [sandbox('s0', 0, true)], containers },
    probes: new Map(containers.map((container) => [container.id, started])),
    startFailures: new Map(),
    end: undefined,
    nowMs,
    containerHash: () => 'h',
    ...input,
  });
}

/** Actions as short words. */
function words(result: PodPlan): string[] {
  return result.actions.map((action) => {
    switch (action.kind) {
      case 'createSandbox':
        return `createSandbox ${action.attempt}`;
      case 'stopSandbox':
      case 'removeSandbox':
        return `${action.kind} ${action.sandboxId}`;
      case 'startContainer':
        return `start ${action.container.name} ${action.attempt}`;
      case 'removeContainer':
        return `remove ${action.containerId}`;
      case 'killContainers':
        return `kill ${action.kills.map((kill) => `${kill.containerId}/${kill.graceSeconds}s`).join(' ')}`;
    }
  });
}

const nothing = { sandboxes: [], containers: [] };
const inits = {
  initContainers: [
    { name: 'i1', image: 'i' },
    { name: 's1', image: 'i', restartPolicy: 'Always' },
    { name: 'i2', image: 'i' },
  ],
};

test('a new pod gets a sandbox first, then its containers together', () => {
  const fresh = plan({ pod: pod(), runtime: nothing });
  assert.deepEqual(words(fresh), ['createSandbox 0']);
  assert.equal(fresh.waiting.get('a')?.reason, 'ContainerCreating');
  const two = pod({ containers: [{ name: 'a' }, { name: 'b' }] });
  assert.deepEqual(words(plan({ pod: two })), ['start a 0', 'start b 0']);
});

test('a pod that runs as it should is left alone, also by an agent that has just started', () => {
  assert.deepEqual(words(plan({ pod: pod(), containers: [run('a')] })), []);
  assert.deepEqual(words(plan({ pod: pod(), containers: [run('a')], probes: new Map() })), []);
});

test('init containers go one after another, a sidecar among them counts when it has started', () => {
  const it = pod(inits);
  const steps: [PodContainer[], string[]][] = [
    [[], ['start i1 0']],
    [[run('i1')], []],
    [[ended('i1', 0)], ['start s1 0']],
    [[ended('i1', 0), run('s1')], ['start i2 0']],
    [[ended('i1', 0), run('s1'), ended('i2', 0)], ['start a 0']],
    [[ended('i1', 0), run('s1'), ended('i2', 0), run('a')], []],
  ];
  for (const [containers, wanted] of steps) assert.deepEqual(words(plan({ pod: it, containers })), wanted);
  const waiting = plan({ pod: it, containers: [run('i1')] }).waiting;
  assert.equal(waiting.get('a')?.reason, 'PodInitializing');
  const notYet = new Map([['s10', { isStarted: false, isReady: false }]]);
  assert.deepEqual(words(plan({ pod: it, containers: [ended('i1', 0), run('s1')], probes: notYet })), []);
});

test('a failed init container is run again, or ends a pod that never restarts', () => {
  const containers = [ended('i1', 1)];
  assert.deepEqual(words(plan({ pod: pod(inits), containers })), ['start i1 1']);
  const never = plan({ pod: pod({ ...inits, restartPolicy: 'Never' }), containers });
  assert.deepEqual(words(never), ['stopSandbox s0']);
});

test('a sidecar that ends is restarted while the app runs, whatever the pod asks for', () => {
  const containers = [ended('i1', 0), ended('s1', 0), ended('i2', 0), run('a')];
  assert.deepEqual(words(plan({ pod: pod({ ...inits, restartPolicy: 'Never' }), containers })), ['start s1 1']);
});

test('the restart policy decides what happens to an ended container', () => {
  const table: [string, number, string[]][] = [
    ['Always', 0, ['start a 1']],
    ['Always', 1, ['start a 1']],
    ['OnFailure', 1, ['start a 1']],
    ['OnFailure', 0, ['stopSandbox s0']],
    ['Never', 1, ['stopSandbox s0']],
  ];
  for (const [policy, exitCode, wanted] of table) {
    const result = plan({ pod: pod({ restartPolicy: policy }), containers: [ended('a', exitCode)] });
    assert.deepEqual(words(result), wanted, `${policy} after exit ${exitCode}`);
  }
});

test('when the app containers have ended for good the sidecars are stopped, then the sandbox', () => {
  const it = pod({ ...inits, restartPolicy: 'Never', terminationGracePeriodSeconds: 7 });
  const done = [ended('i1', 0), ended('i2', 0), ended('a', 0)];
  assert.deepEqual(words(plan({ pod: it, containers: [...done, run('s1')] })), ['kill s10/7s']);
  const rest = plan({ pod: it, containers: [...done, ended('s1', 137)] });
  assert.deepEqual(words(rest), ['stopSandbox s0']);
  const stopped = { sandboxes: [sandbox('s0', 0, false)], containers: [...done, ended('s1', 137)] };
  const last = plan({ pod: it, runtime: stopped });
  assert.deepEqual([words(last), last.outcome], [[], 'ended']);
});

test('a crash loop waits 10 s, 20 s, 40 s … 300 s, and starts over after a long run', () => {
  const result = plan({
    pod: pod(),
    containers: [ended('a', 1, { attempt: 1, annotations: { [restartDelayAnnotation]: '10000' } })],
  });
  assert.deepEqual(words(result), []);
  assert.equal(result.waiting.get('a')?.reason, 'CrashLoopBackOff');
  assert.equal(result.waiting.get('a')?.message, 'back-off 10s restarting failed container=a pod=p_ns(u)');
  assert.equal(result.nextAtMs, nowMs - 1000 + 10_000);

  let written = '0';
  const delays: number[] = [];
  for (let attempt = 0; attempt < 8; attempt++) {
    const restart = planRestart({
      attempt,
      startedAtMs: 1,
      finishedAtMs: 2,
      annotations: { [restartDelayAnnotation]: written },
    });
    delays.push(restart.delayMs / 1000);
    written = String(restart.nextDelayMs);
  }
  assert.deepEqual(delays, [0, 10, 20, 40, 80, 160, 300, 300]);
  const long = {
    attempt: 9,
    startedAtMs: 1,
    finishedAtMs: healthyAfterMs + 2,
    annotations: { [restartDelayAnnotation]: String(crashDelayMaxMs) },
  };
  assert.deepEqual(planRestart(long), { atMs: healthyAfterMs + 2, delayMs: 0, nextDelayMs: 10_000 });
});

test('a container whose liveness or startup probe failed is killed with its grace, then restarted', () => {
  const failed = new Map([['a0', { ...started, failed: 'liveness' as const }]]);
  const it = pod({ containers: [{ name: 'a', livenessProbe: { terminationGracePeriodSeconds: 3 } }] });
  assert.deepEqual(words(plan({ pod: it, containers: [run('a')], probes: failed })), ['kill a0/3s']);
  assert.deepEqual(words(plan({ pod: it, containers: [ended('a', 137)] })), ['start a 1']);
});

test('a container whose image was changed is replaced', () => {
  const old = run('a', { annotations: { [containerHashAnnotation]: 'old' } });
  assert.deepEqual(words(plan({ pod: pod(), containers: [old] })), ['kill a0/30s']);
});

test('a container that was made and never started is made anew under the same number', () => {
  const half = run('a', { state: 'created', attempt: 2 });
  assert.deepEqual(words(plan({ pod: pod(), containers: [half] })), ['remove a2', 'start a 2']);
});

test('a dead sandbox is replaced: what runs is killed, init containers run again, numbers go on', () => {
  const runtime = { sandboxes: [sandbox('s0', 0, false)], containers: [run('a')] };
  assert.deepEqual(words(plan({ pod: pod(), runtime })), ['kill a0/30s', 'stopSandbox s0', 'createSandbox 1']);
  const next = { sandboxes: [sandbox('s1', 1, true), sandbox('s0', 0, false)], containers: [ended('a', 137)] };
  assert.deepEqual(words(plan({ pod: pod(), runtime: next })), ['start a 1', 'removeSandbox s0']);
});

test('a start that failed is not tried again before its time', () => {
  const failure = { reason: 'ImagePullBackOff', message: 'Back-off', retryAtMs: nowMs + 5000 };
  const waits = plan({ pod: pod(), startFailures: new Map([['a', failure]]) });
  assert.deepEqual(words(waits), []);
  assert.deepEqual(waits.waiting.get('a'), { reason: 'ImagePullBackOff', message: 'Back-off' });
  assert.equal(waits.nextAtMs, nowMs + 5000);
  const due = new Map([['a', { ...failure, retryAtMs: nowMs }]]);
  assert.deepEqual(words(plan({ pod: pod(), startFailures: due })), ['start a 0']);
});

test('deletion: apps together, then sidecars, then the sandbox, then what is left; the grace is one for all', () => {
  const it = pod({ ...inits });
  const end = { kind: 'delete' as const, graceSeconds: 30, startedAtMs: nowMs - 10_000 };
  const dead = { sandboxes: [sandbox('s0', 0, false)], containers: [ended('a', 0), ended('s1', 0)] };
  const steps: [Partial<PlanInput> & { containers?: PodContainer[] }, string[], string][] = [
    [{ containers: [run('s1'), run('a'), run('i2')] }, ['kill a0/20s i20/20s'], 'live'],
    [{ containers: [run('s1'), ended('a', 0)] }, ['kill s10/20s'], 'live'],
    [{ containers: [ended('s1', 0), ended('a', 0)] }, ['stopSandbox s0'], 'live'],
    [{ runtime: dead }, ['removeSandbox s0'], 'ended'],
    [{ runtime: nothing }, [], 'gone'],
  ];
  for (const [input, wanted, outcome] of steps) {
    const result = plan({ pod: it, end, ...input });
    assert.deepEqual([words(result), result.outcome], [wanted, outcome]);
  }
  const late = { ...end, startedAtMs: nowMs - 100_000 };
  assert.deepEqual(words(plan({ pod: it, end: late, containers: [run('a')] })), ['kill a0/2s']);
  const forced = { ...end, graceSeconds: 0, startedAtMs: nowMs };
  assert.deepEqual(words(plan({ pod: it, end: forced, containers: [run('a')] })), ['kill a0/0s']);
});

test('a pod past its own deadline is stopped and kept for its logs', () => {
  const end = { kind: 'fail' as const, graceSeconds: 5, startedAtMs: nowMs, reason: 'DeadlineExceeded', message: '' };
  assert.deepEqual(words(plan({ pod: pod(), end, containers: [run('a')] })), ['kill a0/5s']);
  const runtime = { sandboxes: [sandbox('s0', 0, false)], containers: [ended('a', 137)] };
  const kept = plan({ pod: pod(), end, runtime });
  assert.deepEqual([words(kept), kept.outcome], [[], 'ended']);
});

test('a pod that the API server knows as ended is never started again', () => {
  const result = plan({ pod: pod({}, { phase: 'Succeeded' }), runtime: nothing });
  assert.deepEqual([words(result), result.outcome], [[], 'ended']);
});

test('only the run before the last one is kept for its logs', () => {
  const containers = [run('a', { attempt: 3 }), ended('a', 1, { attempt: 2 }), ended('a', 1, { attempt: 1 })];
  assert.deepEqual(words(plan({ pod: pod(), containers })), ['remove a1']);
});

test('a restart count goes on from what the API server knows when the runtime has forgotten', () => {
  const status = { containerStatuses: [{ name: 'a', restartCount: 4, containerID: 'containerd://x' }] };
  assert.deepEqual(words(plan({ pod: pod({}, status) })), ['start a 5']);
});
