/** Reading pods: small pure questions that several parts of the agent ask. */
import type { JsonObject, KubeObject } from '../../control/api/contract.ts';

export type ContainerRole = 'init' | 'sidecar' | 'app' | 'ephemeral';

export interface SpecContainer {
  readonly role: ContainerRole;
  readonly spec: JsonObject;
  readonly name: string;
}

const graceSecondsDefault = 30;

export function podKey(pod: KubeObject): string {
  return `${pod.metadata.namespace ?? ''}/${pod.metadata.name}`;
}

/** Containers in the order in which they are started. A sidecar is an init container that is restarted always. */
export function podContainers(pod: KubeObject): readonly SpecContainer[] {
  const of = (list: readonly JsonObject[] | undefined, role: (spec: JsonObject) => ContainerRole) =>
    (list ?? []).map((spec) => ({ role: role(spec), spec, name: spec.name as string }));
  return [
    ...of(pod.spec?.initContainers, (spec) => (spec.restartPolicy === 'Always' ? 'sidecar' : 'init')),
    ...of(pod.spec?.containers, () => 'app'),
    ...of(pod.spec?.ephemeralContainers, () => 'ephemeral'),
  ];
}

export function findContainer(pod: KubeObject, name: string): SpecContainer | undefined {
  return podContainers(pod).find((container) => container.name === name);
}

export type RestartPolicy = 'Always' | 'OnFailure' | 'Never';

export function restartPolicy(pod: KubeObject): RestartPolicy {
  return (pod.spec?.restartPolicy as RestartPolicy | undefined) ?? 'Always';
}

export function isTerminalPhase(pod: KubeObject): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
}

/** How long containers get between the stop signal and the kill. */
export function graceSeconds(pod: KubeObject): number {
  const deletion = pod.metadata.deletionGracePeriodSeconds;
  if (pod.metadata.deletionTimestamp !== undefined && deletion !== undefined) return deletion;
  return (pod.spec?.terminationGracePeriodSeconds as number | undefined) ?? graceSecondsDefault;
}

export function usesHostNetwork(pod: KubeObject): boolean {
  return pod.spec?.hostNetwork === true;
}

/** Status of a container as the API server knows it. */
export function apiContainerStatus(pod: KubeObject, name: string): JsonObject | undefined {
  const lists = ['initContainerStatuses', 'containerStatuses', 'ephemeralContainerStatuses'];
  for (const list of lists) {
    const found = ((pod.status?.[list] ?? []) as JsonObject[]).find((status) => status.name === name);
    if (found !== undefined) return found;
  }
  return undefined;
}
