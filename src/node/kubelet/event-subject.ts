/** What the agent's events point at: a pod, or one of its containers. */
import type { KubeObject } from '../../control/api/contract.ts';
import type { EventSubject } from '../../control/client/index.ts';
import { findContainer } from './pod.ts';

/** A pod from a list does not say its kind. */
export function podSubject(pod: KubeObject, fieldPath?: string): EventSubject {
  const { metadata } = pod;
  return { apiVersion: 'v1', kind: 'Pod', metadata, ...(fieldPath === undefined ? {} : { fieldPath }) };
}

/** `spec.containers{name}`, as events point at containers. */
export function containerField(pod: KubeObject, name: string): string {
  const role = findContainer(pod, name)?.role;
  const list = role === 'app' ? 'containers' : role === 'ephemeral' ? 'ephemeralContainers' : 'initContainers';
  return `spec.${list}{${name}}`;
}
