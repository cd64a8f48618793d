/** Upstream's defaults of the kinds that make pods. Objects are changed in place. */
import type { JsonObject } from '../contract.ts';
import { defaultPodSpec } from './pod.ts';
import { setDefault } from './set-default.ts';

const int32Max = 2147483647;

function defaultTemplate(spec: JsonObject): void {
  if (spec['template']?.spec) defaultPodSpec(spec['template'].spec);
}

export function defaultDeployment(object: JsonObject): void {
  const spec: JsonObject = (object['spec'] ??= {});
  defaultTemplate(spec);
  setDefault(spec, 'replicas', 1);
  const strategy: JsonObject = (spec['strategy'] ??= {});
  setDefault(strategy, 'type', 'RollingUpdate');
  if (strategy['type'] === 'RollingUpdate') {
    const rolling: JsonObject = (strategy['rollingUpdate'] ??= {});
    setDefault(rolling, 'maxUnavailable', '25%', { isPointer: true });
    setDefault(rolling, 'maxSurge', '25%', { isPointer: true });
  }
  setDefault(spec, 'revisionHistoryLimit', 10);
  setDefault(spec, 'progressDeadlineSeconds', 600);
}

export function defaultReplicaSet(object: JsonObject): void {
  const spec: JsonObject = (object['spec'] ??= {});
  defaultTemplate(spec);
  setDefault(spec, 'replicas', 1);
}

export function defaultReplicationController(object: JsonObject): void {
  const spec: JsonObject = (object['spec'] ??= {});
  const labels = spec['template']?.metadata?.labels;
  if (labels) {
    if (Object.keys(spec['selector'] ?? {}).length === 0) spec['selector'] = { ...labels };
    const metadata: JsonObject = (object['metadata'] ??= {});
    if (Object.keys(metadata['labels'] ?? {}).length === 0) metadata['labels'] = { ...labels };
  }
  defaultReplicaSet(object);
}

export function defaultStatefulSet(object: JsonObject): void {
  const spec: JsonObject = (object['spec'] ??= {});
  defaultTemplate(spec);
  setDefault(spec, 'podManagementPolicy', 'OrderedReady');
  const strategy: JsonObject = (spec['updateStrategy'] ??= {});
  if (!strategy['type']) {
    strategy['type'] = 'RollingUpdate';
    strategy['rollingUpdate'] ??= {};
  }
  if (strategy['type'] === 'RollingUpdate' && strategy['rollingUpdate']) {
    setDefault(strategy['rollingUpdate'], 'partition', 0);
  }
  const retention: JsonObject = (spec['persistentVolumeClaimRetentionPolicy'] ??= {});
  setDefault(retention, 'whenDeleted', 'Retain');
  setDefault(retention, 'whenScaled', 'Retain');
  setDefault(spec, 'replicas', 1);
  setDefault(spec, 'revisionHistoryLimit', 10);
  for (const claim of spec['volumeClaimTemplates'] ?? []) {
    setDefault(claim, 'kind', 'PersistentVolumeClaim');
    setDefault(claim, 'apiVersion', 'v1');
    setDefault((claim.spec ??= {}), 'volumeMode', 'Filesystem');
    setDefault((claim.status ??= {}), 'phase', 'Pending');
  }
}

export function defaultDaemonSet(object: JsonObject): void {
  const spec: JsonObject = (object['spec'] ??= {});
  defaultTemplate(spec);
  const strategy: JsonObject = (spec['updateStrategy'] ??= {});
  setDefault(strategy, 'type', 'RollingUpdate');
  if (strategy['type'] === 'RollingUpdate') {
    const rolling: JsonObject = (strategy['rollingUpdate'] ??= {});
    setDefault(rolling, 'maxUnavailable', 1);
    setDefault(rolling, 'maxSurge', 0);
  }
  setDefault(spec, 'revisionHistoryLimit', 10);
}

export function defaultJob(object: JsonObject): void {
  const spec: JsonObject = (object['spec'] ??= {});
  defaultTemplate(spec);
  const isSet = (name: string) => spec[name] !== undefined && spec[name] !== null;
  // A work queue sets only parallelism; everything else completes once.
  if (!isSet('completions') && !isSet('parallelism')) spec['completions'] = 1;
  setDefault(spec, 'parallelism', 1);
  setDefault(spec, 'backoffLimit', isSet('backoffLimitPerIndex') ? int32Max : 6);
  setDefault(spec, 'completionMode', 'NonIndexed');
  setDefault(spec, 'suspend', false);
  setDefault(spec, 'podReplacementPolicy', spec['podFailurePolicy'] ? 'Failed' : 'TerminatingOrFailed');
  for (const rule of spec['podFailurePolicy']?.rules ?? []) {
    for (const pattern of rule.onPodConditions ?? []) setDefault(pattern, 'status', 'True');
  }
  const metadata: JsonObject = (object['metadata'] ??= {});
  const labels = spec['template']?.metadata?.labels;
  if (labels && Object.keys(metadata['labels'] ?? {}).length === 0) metadata['labels'] = { ...labels };
}

export function defaultCronJob(object: JsonObject): void {
  const spec: JsonObject = (object['spec'] ??= {});
  if (spec['jobTemplate']?.spec) defaultTemplate(spec['jobTemplate'].spec);
  setDefault(spec, 'concurrencyPolicy', 'Allow');
  setDefault(spec, 'suspend', false);
  setDefault(spec, 'successfulJobsHistoryLimit', 3);
  setDefault(spec, 'failedJobsHistoryLimit', 1);
}

export function defaultPodTemplate(object: JsonObject): void {
  defaultTemplate(object);
}
