/** Looks up what the runtime has. */
import type { KubeObject } from '../../control/api/contract.ts';
import type { Container, Cri, PodSandbox } from '../cri/cri.ts';
import type { HostFiles } from '../volumes/host-files.ts';
import { labels, terminationFileAnnotation, terminationPolicyAnnotation } from './container-config.ts';
import { lastLogLines } from './log-tail.ts';
import type { PodContainer, RuntimePod } from './plan-pod-contract.ts';

/** Everything of one pod, in detail. */
export async function inspectPod(cri: Cri, podUid: string): Promise<RuntimePod> {
  const filter = { labels: { [labels.podUid]: podUid } };
  const [sandboxes, containers] = await Promise.all([cri.listPodSandboxes(filter), cri.listContainers(filter)]);
  const [sandboxDetails, containerDetails] = await Promise.all([
    Promise.all(sandboxes.map((sandbox) => cri.podSandboxStatus(sandbox.id))),
    Promise.all(
      containers.map(async (container): Promise<PodContainer | undefined> => {
        const status = await cri.containerStatus(container.id);
        return status === undefined ? undefined : { ...status, sandboxId: container.sandboxId };
      }),
    ),
  ]);
  return {
    sandboxes: sandboxDetails.filter((sandbox) => sandbox !== undefined),
    containers: containerDetails.filter((container) => container !== undefined),
  };
}

/** One line per pod uid that changes whenever a sandbox or container of the pod does. */
export function podSignatures(
  sandboxes: readonly PodSandbox[],
  containers: readonly Container[],
): ReadonlyMap<string, string> {
  const parts = new Map<string, string[]>();
  const add = (uid: string | undefined, part: string) => {
    if (uid === undefined) return;
    const list = parts.get(uid);
    if (list === undefined) parts.set(uid, [part]);
    else list.push(part);
  };
  for (const sandbox of sandboxes) add(sandbox.labels[labels.podUid], `${sandbox.id}:${sandbox.isReady}`);
  for (const container of containers) add(container.labels[labels.podUid], `${container.id}:${container.state}`);
  return new Map([...parts].map(([uid, list]) => [uid, list.sort().join(' ')]));
}

/** A pod that only the runtime still knows, as far as its labels tell. */
export function orphanPod(sandbox: PodSandbox): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: sandbox.metadata.name,
      namespace: sandbox.metadata.namespace,
      uid: sandbox.metadata.uid,
      resourceVersion: '',
      creationTimestamp: new Date(sandbox.createdAtMs).toISOString(),
    },
    spec: { containers: [] },
    status: {},
  };
}

// As upstream: the message of one container, and what of its log stands in for it.
const messageBytesMax = 4096;
const fallbackLines = 80;
const fallbackBytesMax = 2048;

/** What an ended container left as its last words. */
export async function terminationMessage(files: HostFiles, run: PodContainer): Promise<string> {
  const path = run.annotations[terminationFileAnnotation];
  const bytes = path === undefined ? undefined : await readQuietly(files, path, messageBytesMax);
  const text = bytes === undefined ? '' : Buffer.from(bytes).toString();
  const isFallback = run.annotations[terminationPolicyAnnotation] === 'FallbackToLogsOnError';
  if (text !== '' || !isFallback || run.exitCode === 0) return text;
  const log = await readQuietly(files, run.logPath, 64 * 1024);
  return log === undefined ? '' : lastLogLines(Buffer.from(log).toString(), fallbackLines).slice(-fallbackBytesMax);
}

/** The container may have put a directory or a link there: then there is no message. */
async function readQuietly(files: HostFiles, path: string, bytesMax: number): Promise<Uint8Array | undefined> {
  try {
    return await files.readTail(path, bytesMax);
  } catch {
    return undefined;
  }
}
